"""The values that comments and the documentation explain, each at its place in the manifests.

A value that is explained is one on which something depends, so that a change of it is never a
detail. Whoever changes it changes this table too, and reads why the value is what it is. The rules
in the other modules hold what has to fit together; this table holds what has to stay.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, NamedTuple

from gitops import overlay
from tests.gitops.rules import Rule, without_hash
from tests.gitops.tree import Manifest, Tree

Documents = dict[str, list[Manifest]]
"""The manifests of the root Application (`root`) and of each environment."""

EVERYWHERE = " ".join(overlay.ENVIRONMENTS)

MISSING = object()


class Held(NamedTuple):
    """`value` is at `path` of every manifest in the documents `where` that `manifest` matches.

    `manifest` is a pattern for `namespace/Kind/name` or for `Kind/name`; at least one has to match.
    `path` is a JSON pointer, as in the patches of Kustomize. `value` is the value itself, or a
    range that has to contain it.
    """

    where: str
    manifest: str
    path: str
    value: Any
    why: str


ALB = "/metadata/annotations/alb.ingress.kubernetes.io~1"
ARGOCD = "/metadata/annotations/argocd.argoproj.io~1"
POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"
SYNC = "/spec/template/spec/syncPolicy"
CONFIRM = "Prune=confirm,Delete=confirm"
ATTRIBUTES = (
    "routing.http.drop_invalid_header_fields.enabled=true,"
    "routing.http.xff_header_processing.mode=append"
)

SHUTDOWN = "load balancers stop sending, connections are closed, and requests finish"
PROBES = "a pod gets requests once it reaches its database, and stays ready without it"
HEALTH_CHECKS = "the load balancer takes part in a rollout, and finds a pod within ten seconds"
ENCRYPTED = "every request is encrypted, with TLS 1.2 or newer"
ROLLOUTS = "a rollout never reduces the number of pods that serve"
REPORTED = "a rollout that does not get on is reported after two minutes"
SETTLED = "the autoscaler follows a launch at once, and the end of an event slowly"
RESTRICTED = "pods get no privileges, whoever writes their manifests"
BY_ACCIDENT = "deleting it takes players offline, so someone has to confirm that"
REVERTED = "git says what runs, and a revert takes effect without waiting for anything"

OF_THE_SERVICE = (
    Held(EVERYWHERE, "Deployment/*", "/spec/progressDeadlineSeconds", 120, REPORTED),
    Held(EVERYWHERE, "Deployment/*", "/spec/revisionHistoryLimit", 5, "rollout undo"),
    Held(EVERYWHERE, "Deployment/*", "/spec/strategy/type", "RollingUpdate", ROLLOUTS),
    Held(EVERYWHERE, "Deployment/*", "/spec/strategy/rollingUpdate/maxSurge", 1, ROLLOUTS),
    Held(EVERYWHERE, "Deployment/*", "/spec/strategy/rollingUpdate/maxUnavailable", 0, ROLLOUTS),
    Held(EVERYWHERE, "Deployment/*", f"{POD}/terminationGracePeriodSeconds", 75, SHUTDOWN),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/lifecycle/preStop/sleep/seconds", 25, SHUTDOWN),
    Held(EVERYWHERE, "ConfigMap/*", "/data/GAME_API_SHUTDOWN_DELAY", "6", SHUTDOWN),
    Held(EVERYWHERE, "ConfigMap/*", "/data/GAME_API_SHUTDOWN_TIMEOUT", "20", SHUTDOWN),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/startupProbe/periodSeconds", 1, PROBES),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/startupProbe/failureThreshold", 300, PROBES),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/readinessProbe/periodSeconds", 5, PROBES),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/readinessProbe/failureThreshold", 2, PROBES),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/livenessProbe/periodSeconds", 10, PROBES),
    Held(EVERYWHERE, "Deployment/*", f"{CONTAINER}/livenessProbe/failureThreshold", 3, PROBES),
    Held(
        EVERYWHERE,
        "Deployment/*",
        f"{CONTAINER}/resources/limits",
        {"memory": "512Mi"},
        "a limit of CPU would only add latency",
    ),
    *(
        Held(
            EVERYWHERE,
            "Deployment/*",
            f"{POD}/topologySpreadConstraints/{number}/{name}",
            value,
            "pods spread over zones and nodes, but start even where they can't",
        )
        for number in (0, 1)
        for name, value in (
            ("whenUnsatisfiable", "ScheduleAnyway"),
            ("matchLabelKeys", ["pod-template-hash"]),
        )
    ),
    Held(
        EVERYWHERE,
        "ConfigMap/game-api",
        f"{ARGOCD}sync-options",
        "Prune=false",
        "old pods and rollout undo need the settings that they were made with",
    ),
    Held(
        EVERYWHERE,
        "ConfigMap/game-api",
        f"{ARGOCD}compare-options",
        "IgnoreExtraneous",
        "the settings that stay do not make the Application OutOfSync",
    ),
    Held(EVERYWHERE, "PodDisruptionBudget/*", "/spec/maxUnavailable", 1, ROLLOUTS),
    Held(
        EVERYWHERE,
        "PodDisruptionBudget/*",
        "/spec/unhealthyPodEvictionPolicy",
        "AlwaysAllow",
        "a pod that is not ready must not block the drain of its node",
    ),
    Held("prod", "HorizontalPodAutoscaler/*", "/spec/minReplicas", range(3, 9), "one pod a zone"),
    *(
        Held(EVERYWHERE, "HorizontalPodAutoscaler/*", f"/spec/{name}", value, SETTLED)
        for name, value in (
            ("metrics/0/resource/target/averageUtilization", 70),
            ("behavior/scaleUp/stabilizationWindowSeconds", 0),
            ("behavior/scaleUp/selectPolicy", "Max"),
            ("behavior/scaleUp/policies/0/value", 50),
            ("behavior/scaleUp/policies/1/value", 2),
            ("behavior/scaleDown/stabilizationWindowSeconds", 300),
            ("behavior/scaleDown/policies/0/value", 1),
        )
    ),
)

OF_THE_INDEX_JOB = (
    Held(EVERYWHERE, "Job/*", "/spec/backoffLimit", 0, "Argo CD retries the whole sync"),
    Held(EVERYWHERE, "Job/*", "/spec/activeDeadlineSeconds", 300, "a job that hangs ends"),
    Held(
        EVERYWHERE,
        "Job/*",
        "/spec/podFailurePolicy/rules",
        [
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            }
        ],
        "the drain of a node is not a failure",
    ),
    Held(
        EVERYWHERE,
        "Job/*",
        f"{CONTAINER}/args",
        ["create-indexes", "--wait=60"],
        "network policies take effect some seconds after the pod has started",
    ),
)

OF_THE_LOAD_BALANCER = (
    Held(EVERYWHERE, "Ingress/*", f"{ALB}ssl-redirect", "443", ENCRYPTED),
    Held(
        EVERYWHERE, "Ingress/*", f"{ALB}listen-ports", '[{"HTTP": 80}, {"HTTPS": 443}]', ENCRYPTED
    ),
    Held(
        EVERYWHERE,
        "Ingress/*",
        f"{ALB}ssl-policy",
        "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        ENCRYPTED,
    ),
    Held(
        EVERYWHERE,
        "Ingress/*",
        f"{ALB}target-group-attributes",
        "deregistration_delay.timeout_seconds=15",
        "the load balancer closes its connections before the pod does",
    ),
    Held(EVERYWHERE, "Ingress/*", f"{ALB}target-type", "ip", HEALTH_CHECKS),
    Held(EVERYWHERE, "Ingress/*", f"{ALB}healthcheck-interval-seconds", "5", HEALTH_CHECKS),
    Held(EVERYWHERE, "Ingress/*", f"{ALB}healthcheck-timeout-seconds", "3", HEALTH_CHECKS),
    Held(EVERYWHERE, "Ingress/*", f"{ALB}healthy-threshold-count", "2", HEALTH_CHECKS),
    Held(EVERYWHERE, "Ingress/*", f"{ALB}unhealthy-threshold-count", "2", HEALTH_CHECKS),
    Held(
        "dev staging",
        "Ingress/*",
        f"{ALB}load-balancer-attributes",
        ATTRIBUTES,
        "headers are valid, and the last address in X-Forwarded-For is the client's",
    ),
    Held(
        "prod",
        "Ingress/*",
        f"{ALB}load-balancer-attributes",
        f"{ATTRIBUTES},deletion_protection.enabled=true",
        "the same, and nothing deletes production's load balancer",
    ),
    Held(EVERYWHERE, "Ingress/*", f"{ARGOCD}sync-options", CONFIRM, BY_ACCIDENT),
)

OF_THE_NAMESPACES = (
    Held("root", "Namespace/*", f"{ARGOCD}sync-options", CONFIRM, BY_ACCIDENT),
    *(
        Held(
            "root",
            "Namespace/*",
            f"/metadata/labels/pod-security.kubernetes.io~1{mode}",
            value,
            RESTRICTED,
        )
        for mode, value in (
            ("enforce", "restricted"),
            ("audit", "restricted"),
            ("warn", "restricted"),
        )
    ),
    Held(
        "root",
        "Namespace/gaming-namespace",
        "/metadata/labels/elbv2.k8s.aws~1pod-readiness-gate-inject",
        "enabled",
        "a rollout waits until the load balancer has found the new pod healthy",
    ),
    Held("root", "ResourceQuota/*", "/spec/hard/services.loadbalancers", "0", "only a mistake"),
    Held("root", "ResourceQuota/*", "/spec/hard/services.nodeports", "0", "only a mistake"),
    *(
        Held(
            "root",
            "gaming-namespace/ResourceQuota/*",
            f"/spec/hard/{name}",
            value,
            "room for production at its maximum size, with terminating pods, and for nothing else",
        )
        for name, value in (
            ("pods", "20"),
            ("requests.cpu", "5"),
            ("requests.memory", "5Gi"),
            ("limits.memory", "10Gi"),
        )
    ),
)

OF_ARGOCD = (
    Held("root", "ApplicationSet/*", "/spec/goTemplate", True, "missingkey needs it"),
    Held(
        "root",
        "ApplicationSet/*",
        "/spec/goTemplateOptions",
        ["missingkey=error"],
        "a missing fact is an error that names it",
    ),
    Held(
        "root",
        "ApplicationSet/*",
        "/spec/syncPolicy/preserveResourcesOnDeletion",
        True,
        "what serves players stays, even if the ApplicationSet is deleted",
    ),
    Held("root", "ApplicationSet/*", f"{SYNC}/automated/prune", True, REVERTED),
    Held("root", "ApplicationSet/*", f"{SYNC}/automated/selfHeal", True, REVERTED),
    Held("root", "ApplicationSet/*", f"{SYNC}/retry/refresh", True, REVERTED),
    Held(
        "root",
        "ApplicationSet/game-api",
        f"{SYNC}/retry",
        {
            "limit": 9,
            "refresh": True,
            "backoff": {"duration": "1s", "factor": 2, "maxDuration": "3m"},
        },
        "docs/deploy.md names each wait",
    ),
    Held(
        "root", "ApplicationSet/game-api", f"{SYNC}/syncOptions", ["ServerSideApply=true"], REVERTED
    ),
    *(
        Held(
            "root", f"ApplicationSet/{chart}", f"{SYNC}/syncOptions", options, "upgrades are smooth"
        )
        for chart, options in (
            (
                "aws-load-balancer-controller",
                ["ServerSideApply=true", "PruneLast=true", "RespectIgnoreDifferences=true"],
            ),
            ("cluster-autoscaler", ["ServerSideApply=true", "PruneLast=true"]),
        )
    ),
    Held(
        "root",
        "AppProject/game-session",
        "/spec/syncWindows",
        [
            {
                "kind": "allow",
                "schedule": "0 8 * * 1-4",
                "duration": "8h",
                "timeZone": "UTC",
                "applications": ["game-api-prod"],
                "manualSync": True,
            }
        ],
        "production changes only while the team is at work, or when someone presses Sync",
    ),
    Held("root", "AppProject/game-session", "/spec/orphanedResources/warn", True, REVERTED),
    *(
        Held("root", "AppProject/default", f"/spec/{name}", [], "nothing may use this project")
        for name in ("sourceRepos", "destinations", "clusterResourceWhitelist")
    ),
)

HELD = (
    *OF_THE_SERVICE,
    *OF_THE_INDEX_JOB,
    *OF_THE_LOAD_BALANCER,
    *OF_THE_NAMESPACES,
    *OF_ARGOCD,
)


def explained_values_are_held(tree: Tree) -> Iterator[str]:
    """Every value in the table is what it was when it was explained."""
    documents = dict(tree.all_manifests())
    for held in HELD:
        yield from violations(held, documents)


def violations(held: Held, documents: Documents) -> Iterator[str]:
    """One sentence for each manifest that does not have the value."""
    for where in held.where.split():
        found = list(matching(held, documents[where]))
        if not found:
            yield f"{where}: there is no {held.manifest}"
        for manifest in found:
            value = value_at(manifest, keys_of(held.path))
            if not is_held(held.value, value):
                is_now = "missing" if value is MISSING else repr(value)
                name = manifest["metadata"]["name"]
                yield f"{where}: {manifest['kind']} {name} {held.path} is {is_now} ({held.why})"


def matching(held: Held, manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        metadata = manifest["metadata"]
        name = f"{manifest['kind']}/{without_hash(metadata['name'])}"
        if fnmatch(name, held.manifest) or fnmatch(
            f"{metadata.get('namespace')}/{name}", held.manifest
        ):
            yield manifest


def is_held(expected: Any, value: Any) -> bool:
    if isinstance(expected, range):
        return type(value) is int and value in expected
    return type(value) is type(expected) and bool(value == expected)


def keys_of(path: str) -> list[str]:
    """The keys of a JSON pointer."""
    return [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:]]


def value_at(value: Any, keys: list[str]) -> Any:
    """What the keys lead to, or MISSING."""
    for key in keys:
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return MISSING
    return value


RULES: tuple[Rule, ...] = (explained_values_are_held,)
