"""Rules for the rendered manifests. Each rule yields one sentence for every violation."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes_validate
from pydantic import ValidationError

from game_api.__main__ import KEEP_ALIVE
from game_api.app import create_app
from game_api.database.client import DEADLINE, OPTIONS
from game_api.observability import cloudwatch, logs
from game_api.runtime import Runtime
from game_api.settings import PREFIX, Settings
from gitops import image, overlay
from tests.gitops.tree import (
    ROOT,
    Manifest,
    Tree,
    containers,
    find_one,
    matches,
    of_kind,
    pod_templates,
)

Rule = Callable[[Tree], Iterator[str]]

KUBERNETES = "1.36"
"""The Kubernetes version of the clusters."""

ACTIVE_OPERATIONS = 102
"""The limit of active operations on a db.t3.medium, as documented by Amazon DocumentDB."""

ARGOCD_KINDS = ("AppProject", "ApplicationSet")

ROOT_PATCH = (
    r'target = \{ kind = "(\w+)", name = "([\w-]+)" \}\s+'
    r'patch = yamlencode\(\[\{\s+op\s+= "replace"\s+path\s+= "([^"]+)"'
)
"""A patch of the root Application in Terraform: the kind, the name and the path."""


def manifests_match_the_kubernetes_schemas(tree: Tree) -> Iterator[str]:
    """Every field exists in this version of Kubernetes and has the right type."""
    for name, manifests in tree.all_manifests():
        for manifest in manifests:
            if manifest["kind"] in ARGOCD_KINDS:
                continue
            try:
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.path)
                yield f"{name}: {manifest['kind']} {path}: {error.message}"


def images_have_the_tag_of_the_base(tree: Tree) -> Iterator[str]:
    """An image has the cluster's registry and the one tag in the base, in every environment."""
    registry = tree.template("game-api", "dev")["spec"]["source"]["kustomize"]["images"]
    expected = registry[0].split("=")[1].replace("*", image.tag_in(tree.text(image.PATH)))
    for environment in overlay.ENVIRONMENTS:
        for name, template in pod_templates(tree.application(environment)):
            for container in containers(template):
                if container["image"] != expected:
                    yield f"{environment}: {name} runs {container['image']}, not {expected}"
    for file in (tree.root / "apps/game-api/base").rglob("*.yaml"):
        for used in re.findall(r"^\s*(?:- )?image:\s*(\S+)", file.read_text(), re.MULTILINE):
            if used != "game-api":
                yield f"{file.name}: the image must be game-api without a tag, not {used}"


def settings_are_known_and_valid(tree: Tree) -> Iterator[str]:
    """The service accepts the settings that its pods have as environment variables."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for name, template in pod_templates(manifests):
            for container in containers(template):
                variables = environment_variables(container, manifests)
                for variable in variables.keys() - known:
                    yield f"{environment}: {name} sets {variable}, which is not a setting"
                values: dict[str, Any] = {
                    key.removeprefix(PREFIX).lower(): value
                    for key, value in variables.items()
                    if value
                }
                bundle = ROOT / "certificates/global-bundle.pem"
                try:
                    settings = Settings(**{"documentdb_ca_file": bundle, **values})
                except ValidationError as error:
                    for details in error.errors(include_url=False):
                        yield f"{environment}: {name}: {details['loc']}: {details['msg']}"
                    continue
                if settings.environment != environment:
                    yield f"{environment}: {name} has the environment {settings.environment}"


def environment_variables(container: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """A container's environment variables. Values that the cluster sets are placeholders."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= find_one(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        variables[variable["name"]] = variable.get("value", "set-by-the-cluster")
    return variables


def facts_replace_every_placeholder(tree: Tree) -> Iterator[str]:
    """Every placeholder is replaced with a fact, by the ApplicationSet or the root Application."""
    for environment in overlay.ENVIRONMENTS:
        for manifest in tree.application(environment):
            for placeholder in re.findall(r"fact[:.]\w+|192\.0\.2\.\d+", str(manifest)):
                yield f"{environment}: {manifest['kind']} still has {placeholder}"
    placeholders = {
        fact
        for file in (tree.root / "apps").rglob("*.*")
        for fact in re.findall(r"(?<!\")fact[:.] ?([a-z_]+)", file.read_text())
    }
    for fact in placeholders - facts_read(tree):
        yield f"no ApplicationSet replaces the placeholder for {fact}"
    replaced = set(re.findall(ROOT_PATCH, tree.text("terraform/argocd/bootstrap.tf")))
    found = {
        (manifest["kind"], manifest["metadata"]["name"], path.split("/", 2)[2])
        for manifest in tree.render(".")
        for path, value in flatten([manifest])
        if "fact:" in str(value)
    }
    for kind, name, path in found ^ {(kind, name, path[1:]) for kind, name, path in replaced}:
        yield f"{kind} {name}: the root Application and the manifest differ about /{path}"


def facts_read(tree: Tree) -> set[str]:
    """The facts (annotations of the cluster's Secret) that the ApplicationSets read."""
    text = "".join(file.read_text() for file in (tree.root / "clusters/applications").iterdir())
    return set(re.findall(r"\.metadata\.annotations\.(\w+)", text))


def probes_call_the_health_endpoints(tree: Tree) -> Iterator[str]:
    """A pod starts once it has reached the database, and stays ready while the process responds.

    The load balancer checks the database too: if no pod is healthy, it sends requests to all.
    """
    document = create_app(Runtime(Settings()), "mongodb://127.0.0.1:1/").openapi()
    manifests = tree.application("prod")
    container = find_one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    annotations = find_one(manifests, "Ingress")["metadata"]["annotations"]
    probed = {
        "startupProbe": ("getReadiness", container["startupProbe"]["httpGet"]["path"]),
        "livenessProbe": ("getHealth", container["livenessProbe"]["httpGet"]["path"]),
        "readinessProbe": ("getHealth", container["readinessProbe"]["httpGet"]["path"]),
        "Ingress": ("getReadiness", annotations["alb.ingress.kubernetes.io/healthcheck-path"]),
    }
    for name, (operation, path) in probed.items():
        if document["paths"].get(path, {}).get("get", {}).get("operationId") != operation:
            yield f"{name} calls {path}, which is not {operation}"


def ports_match(tree: Tree) -> Iterator[str]:
    """Ports match from the load balancer to the process, and from there to the database."""
    manifests = tree.application("prod")
    template = find_one(manifests, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    service = find_one(manifests, "Service")
    if not matches(service["spec"]["selector"], template["metadata"]["labels"]):
        yield "the Service does not select the pods"
    listens = int(environment_variables(container, manifests).get(f"{PREFIX}PORT", "8000"))
    exposed = int(re.findall(r"^EXPOSE (\d+)$", tree.text("Dockerfile"), re.MULTILINE)[0])
    if {listens, exposed} != {ports["http"]}:
        yield f"the process listens on {listens}, EXPOSE is {exposed}, the pod has {ports}"
    for port in service["spec"]["ports"]:
        if port["targetPort"] not in ports:
            yield f"the Service sends to {port['targetPort']}, but the pod has {list(ports)}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container[probe]["httpGet"]["port"] not in ports:
            yield f"{probe} uses a port that the pod does not have"
    for rule in find_one(manifests, "Ingress")["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            named = {port["name"] for port in service["spec"]["ports"]}
            if backend["name"] != "game-api" or backend["port"]["name"] not in named:
                yield f"the Ingress sends to {backend}, which is not a port of the Service"
    database = Settings.model_fields["documentdb_port"].default
    for policy in of_kind(manifests, "NetworkPolicy"):
        name = policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress", []):
            if [port["port"] for port in rule["ports"]] != ["http"]:
                yield f"NetworkPolicy {name} allows ingress to {rule['ports']}"
        egress = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        if egress != {53, 80, 443, database}:
            yield f"NetworkPolicy {name} allows egress to {sorted(egress)}"


def pods_stop_within_the_grace_period(tree: Tree) -> Iterator[str]:
    """The grace period is longer than the steps of a pod's shutdown together."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        pod = find_one(manifests, "Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        variables = environment_variables(container, manifests)
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = int(variables[f"{PREFIX}SHUTDOWN_TIMEOUT"])
        delay = float(variables.get(f"{PREFIX}SHUTDOWN_DELAY", 0))
        flush = logs.CLOSE_SECONDS + cloudwatch.CLOSE_SECONDS + 1
        grace = pod["terminationGracePeriodSeconds"]
        if grace <= sleep + delay + drain + DEADLINE + flush:
            steps = f"{sleep} + {delay} + {drain} + {DEADLINE} + {flush}"
            yield f"{environment}: the grace period is {grace} s, but a shutdown takes {steps} s"


def pods_keep_idle_connections_longer_than_the_load_balancer(tree: Tree) -> Iterator[str]:
    """A pod keeps an idle connection open longer than the load balancer does.

    Otherwise, the load balancer can send a request on a connection that the pod is closing, and
    the client gets a 502 response.
    """
    for environment in overlay.ENVIRONMENTS:
        ingress = find_one(tree.application(environment), "Ingress")
        attributes = ingress["metadata"]["annotations"][
            "alb.ingress.kubernetes.io/load-balancer-attributes"
        ]
        values = dict(attribute.split("=") for attribute in attributes.split(","))
        idle = int(values.get("idle_timeout.timeout_seconds", 60))  # The default of AWS is 60.
        if idle >= KEEP_ALIVE:
            yield (
                f"{environment}: the load balancer's idle timeout is {idle} s, "
                f"but the pods' is {KEEP_ALIVE} s"
            )


def pods_serve_until_the_load_balancer_has_closed_its_connections(tree: Tree) -> Iterator[str]:
    """A terminating pod serves for longer than the load balancer keeps its connections."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        ingress = find_one(manifests, "Ingress")["metadata"]["annotations"]
        attributes = ingress["alb.ingress.kubernetes.io/target-group-attributes"]
        delay = int(attributes.removeprefix("deregistration_delay.timeout_seconds="))
        template = find_one(manifests, "Deployment")["spec"]["template"]
        sleep = template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        if delay >= sleep:
            yield f"{environment}: connections last {delay} s, but pods serve for {sleep} s"


def a_rollout_is_reported_before_its_pod_is_restarted(tree: Tree) -> Iterator[str]:
    """A pod that does not start is restarted only after the rollout was reported as Degraded."""
    for environment in overlay.ENVIRONMENTS:
        deployment = find_one(tree.application(environment), "Deployment")["spec"]
        probe = deployment["template"]["spec"]["containers"][0]["startupProbe"]
        restart = probe["periodSeconds"] * probe["failureThreshold"]
        if restart < 2 * deployment["progressDeadlineSeconds"]:
            deadline = deployment["progressDeadlineSeconds"]
            yield f"{environment}: pods restart after {restart} s, the deadline is {deadline} s"


def connections_stay_below_the_database_limit(tree: Tree) -> Iterator[str]:
    """All pods together have fewer connections than the database allows."""
    for environment in overlay.ENVIRONMENTS:
        pods = max_pods(tree, environment)
        if pods * OPTIONS["maxPoolSize"] >= ACTIVE_OPERATIONS:
            connections = OPTIONS["maxPoolSize"]
            yield f"{environment}: {pods} pods with {connections} connections each are too many"


def max_pods(tree: Tree, environment: str) -> int:
    """The largest number of pods: all replicas, the surge of a rollout, and the index job."""
    manifests = tree.application(environment)
    surge = find_one(manifests, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    replicas: int = find_one(manifests, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    return replicas + int(surge) + 1


def the_quota_has_room_for_every_pod(tree: Tree) -> Iterator[str]:
    """The namespace's quota never stops a rollout or the autoscaler."""
    quotas = of_kind(tree.render("."), "ResourceQuota")
    (quota,) = [q for q in quotas if q["metadata"]["namespace"] == "gaming-namespace"]
    hard = quota["spec"]["hard"]
    for environment in overlay.ENVIRONMENTS:
        pods = max_pods(tree, environment)
        deployment = find_one(tree.application(environment), "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        required = {
            "pods": float(pods),
            "requests.cpu": pods * quantity(requests["cpu"]),
            "requests.memory": pods * quantity(requests["memory"]),
            "limits.memory": pods * quantity(limits["memory"]),
        }
        for name, amount in required.items():
            if amount > quantity(hard[name]):
                yield f"{environment}: {pods} pods need {name} {amount}, but have {hard[name]}"


def quantity(text: str) -> float:
    """Parse a Kubernetes quantity such as 250m or 4Gi."""
    number = text.rstrip("GMim")
    return float(number) * {"": 1, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30}[text[len(number) :]]


def pods_are_restricted(tree: Tree) -> Iterator[str]:
    """Pods have no more privileges than they need, and no variables for other services."""
    ((uid, gid),) = re.findall(r"^USER (\d+):(\d+)$", tree.text("Dockerfile"), re.MULTILINE)
    for name, template in pod_templates(tree.application("prod")):
        pod, security = template["spec"], template["spec"].get("securityContext", {})
        expected = {"runAsNonRoot": True, "runAsUser": int(uid), "runAsGroup": int(gid)}
        if not expected.items() <= security.items():
            yield f"{name}: runs as {security}, but the image's user is {uid}:{gid}"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: the seccomp profile is not RuntimeDefault"
        for option in ("automountServiceAccountToken", "enableServiceLinks"):
            if pod.get(option) is not False:
                yield f"{name}: {option} is not false"
        for option in ("hostNetwork", "hostPID", "hostIPC", "volumes"):
            if option in pod:
                yield f"{name}: uses {option}"
        for container in containers(template):
            if container.get("securityContext") != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{name}: {container['name']} has {container.get('securityContext')}"
            if "memory" not in container["resources"]["limits"]:
                yield f"{name}: {container['name']} has no memory limit"


def rollouts_keep_every_replica(tree: Tree) -> Iterator[str]:
    """Only the autoscaler sets the number of replicas, and a rollout never reduces it."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        deployment = find_one(manifests, "Deployment")
        scaler = find_one(manifests, "HorizontalPodAutoscaler")["spec"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if "replicas" in deployment["spec"]:
            yield f"{environment}: the Deployment sets replicas, and so does the autoscaler"
        if scaler["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
            yield f"{environment}: the autoscaler scales {scaler['scaleTargetRef']}"
        if not 2 <= scaler["minReplicas"] < scaler["maxReplicas"]:
            yield f"{environment}: {scaler['minReplicas']} to {scaler['maxReplicas']} replicas"
        budget = find_one(manifests, "PodDisruptionBudget")["spec"]
        if not matches(budget["selector"], labels):
            yield f"{environment}: the PodDisruptionBudget is {budget}"
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            if not matches(spread["labelSelector"], labels):
                yield f"{environment}: the {spread['topologyKey']} spread selects other pods"


def overlays_differ_only_where_environments_do(tree: Tree) -> Iterator[str]:
    """Any other difference would reach an environment without a test in the one before it."""
    allowed = (
        r"ConfigMap/\S+/data/GAME_API_(ENVIRONMENT|LOG_LEVEL)",
        r"HorizontalPodAutoscaler/game-api/spec/(min|max)Replicas",
        r"Ingress/game-api/metadata/annotations/.*/load-balancer-attributes",
    )
    flat = {name: dict(flatten(tree.overlay(name))) for name in overlay.ENVIRONMENTS}
    for first, second in itertools.combinations(overlay.ENVIRONMENTS, 2):
        for path in sorted(flat[first].keys() | flat[second].keys()):
            if flat[first].get(path) != flat[second].get(path):
                if not any(re.fullmatch(pattern, path) for pattern in allowed):
                    yield f"{first} and {second} differ in {path}"


def flatten(manifests: list[Manifest]) -> Iterator[tuple[str, Any]]:
    """`Kind/name/path/to/value` and the value. Generated names appear without their hash."""

    def walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, dict | list):
                yield from walk(f"{path}/{key}", item)
            else:
                yield f"{path}/{key}", without_hash(item)

    for manifest in manifests:
        name = without_hash(manifest["metadata"]["name"])
        yield from walk(f"{manifest['kind']}/{name}", manifest)


def without_hash(value: Any) -> Any:
    """The name of the generated ConfigMap without its hash. Other values stay the same."""
    return re.sub(r"^game-api-[0-9a-z]{10}$", "game-api", value) if type(value) is str else value


RULES: tuple[Rule, ...] = (
    manifests_match_the_kubernetes_schemas,
    images_have_the_tag_of_the_base,
    settings_are_known_and_valid,
    facts_replace_every_placeholder,
    probes_call_the_health_endpoints,
    ports_match,
    pods_stop_within_the_grace_period,
    pods_keep_idle_connections_longer_than_the_load_balancer,
    pods_serve_until_the_load_balancer_has_closed_its_connections,
    a_rollout_is_reported_before_its_pod_is_restarted,
    connections_stay_below_the_database_limit,
    the_quota_has_room_for_every_pod,
    pods_are_restricted,
    rollouts_keep_every_replica,
    overlays_differ_only_where_environments_do,
)
