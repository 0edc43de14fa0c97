"""What holds for the manifests: each rule yields a sentence for every breach that it finds."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes_validate
from pydantic import ValidationError

from game_api import cloudwatch, logs
from game_api.__main__ import KEEP_ALIVE
from game_api.app import Process, create_app
from game_api.database import OPTIONS
from game_api.settings import PREFIX, Settings
from gitops import overlay
from tests.gitops.tree import (
    ROOT,
    Manifest,
    Tree,
    containers,
    matches,
    of_kind,
    one,
    pod_templates,
)

Rule = Callable[[Tree], Iterator[str]]

KUBERNETES = "1.34"
"""The release that the clusters run."""

ACTIVE_OPERATIONS = 102
"""What Amazon DocumentDB documents for a db.t3.medium."""

ARGO = ("AppProject", "ApplicationSet")


def schemas_hold(tree: Tree) -> Iterator[str]:
    """Every field exists in this release of Kubernetes and has its type."""
    for name, manifests in tree.everything():
        for manifest in manifests:
            if manifest["kind"] in ARGO:
                continue
            try:
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.path)
                yield f"{name}: {manifest['kind']} {path}: {error.message}"


def images_carry_the_overlays_tag(tree: Tree) -> Iterator[str]:
    """The tag is the overlay's, the registry is the cluster's, and nothing else has a tag."""
    registry = tree.template("game-api", "dev")["spec"]["source"]["kustomize"]["images"]
    for environment in overlay.ENVIRONMENTS:
        tag = overlay.tag_in(tree.text(overlay.path(environment)))
        for name, template in pod_templates(tree.application(environment)):
            for container in containers(template):
                wanted = registry[0].split("=")[1].replace("*", tag)
                if container["image"] != wanted:
                    yield f"{environment}: {name} runs {container['image']}, not {wanted}"
    for file in (tree.root / "apps/game-api/base").rglob("*.yaml"):
        for image in re.findall(r"^\s*(?:- )?image:\s*(\S+)", file.read_text(), re.MULTILINE):
            if image != "game-api":
                yield f"{file.name} has an image {image}; a tag is the overlay's"


def settings_are_known_and_good(tree: Tree) -> Iterator[str]:
    """The service starts with what its pods are told."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for name, template in pod_templates(manifests):
            for container in containers(template):
                variables = environment_of(container, manifests)
                for variable in variables.keys() - known:
                    yield f"{environment}: {name} sets {variable}, which is no setting"
                values: dict[str, Any] = {
                    key.removeprefix(PREFIX).lower(): value
                    for key, value in variables.items()
                    if value
                }
                bundle = ROOT / "certificates/global-bundle.pem"
                try:
                    settings = Settings(**{"documentdb_ca_file": bundle, **values})
                except ValidationError as error:
                    for mistake in error.errors(include_url=False):
                        yield f"{environment}: {name}: {mistake['loc']}: {mistake['msg']}"
                    continue
                if settings.environment != environment:
                    yield f"{environment}: {name} is told that it is in {settings.environment}"


def environment_of(container: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """The container's environment variables; what only the cluster knows is a placeholder."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= one(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        variables[variable["name"]] = variable.get("value", "known-to-the-cluster")
    return variables


def facts_fill_every_gap(tree: Tree) -> Iterator[str]:
    """What git leaves open is what the ApplicationSet fills in."""
    for environment in overlay.ENVIRONMENTS:
        for manifest in tree.application(environment):
            for gap in re.findall(r"fact[:.]\w+|192\.0\.2\.\d+", str(manifest)):
                yield f"{environment}: {manifest['kind']} still has {gap}"
    sources = [*(tree.root / "apps").rglob("*.*"), *(tree.root / "clusters/projects").rglob("*.*")]
    gaps = {
        fact
        for file in sources
        for fact in re.findall(r"(?<!\")fact[:.] ?([a-z_]+)", file.read_text())
    }
    for fact in gaps - facts_read(tree) - {"repository_url"}:
        yield f"nothing fills in {fact}"


def facts_read(tree: Tree) -> set[str]:
    """The annotations that the ApplicationSets read."""
    text = "".join(file.read_text() for file in (tree.root / "clusters/applications").iterdir())
    return set(re.findall(r"\.metadata\.annotations\.(\w+)", text))


def probed_paths_exist(tree: Tree) -> Iterator[str]:
    """A pod has to reach its database once, and has its place as long as the process answers;
    the load balancer, which sends to somebody even if all are unhealthy, asks for the database."""
    document = create_app(Settings(), "mongodb://127.0.0.1:1/", Process()).openapi()
    manifests = tree.application("prod")
    container = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    annotations = one(manifests, "Ingress")["metadata"]["annotations"]
    probed = {
        "startupProbe": ("getReadiness", container["startupProbe"]["httpGet"]["path"]),
        "livenessProbe": ("getHealth", container["livenessProbe"]["httpGet"]["path"]),
        "readinessProbe": ("getHealth", container["readinessProbe"]["httpGet"]["path"]),
        "Ingress": ("getReadiness", annotations["alb.ingress.kubernetes.io/healthcheck-path"]),
    }
    for name, (operation, path) in probed.items():
        if document["paths"].get(path, {}).get("get", {}).get("operationId") != operation:
            yield f"{name} asks for {path}, which is not {operation}"


def ports_agree(tree: Tree) -> Iterator[str]:
    """From the load balancer to the process, and from the process to the database."""
    manifests = tree.application("prod")
    template = one(manifests, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    service = one(manifests, "Service")
    if not matches(service["spec"]["selector"], template["metadata"]["labels"]):
        yield "the Service does not select the pods"
    listens = int(environment_of(container, manifests).get(f"{PREFIX}PORT", "8000"))
    exposed = int(re.findall(r"^EXPOSE (\d+)$", tree.text("Dockerfile"), re.MULTILINE)[0])
    if {listens, exposed} != {ports["http"]}:
        yield f"the process listens on {listens}, EXPOSE {exposed}, the pod has {ports}"
    for port in service["spec"]["ports"]:
        if port["targetPort"] not in ports:
            yield f"the Service sends to {port['targetPort']}, and the pod has {list(ports)}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container[probe]["httpGet"]["port"] not in ports:
            yield f"{probe} asks a port that the pod has not"
    for rule in one(manifests, "Ingress")["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            named = {port["name"] for port in service["spec"]["ports"]}
            if backend["name"] != "game-api" or backend["port"]["name"] not in named:
                yield f"the Ingress sends to {backend}"
    database = Settings.model_fields["documentdb_port"].default
    for policy in of_kind(manifests, "NetworkPolicy"):
        name = policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress", []):
            if [port["port"] for port in rule["ports"]] != ["http"]:
                yield f"NetworkPolicy {name} lets in to {rule['ports']}"
        to = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        if to != {53, 80, 443, database}:
            yield f"NetworkPolicy {name} lets out to {sorted(to)}"


def pods_end_in_time(tree: Tree) -> Iterator[str]:
    """The grace period holds what happens one after the other when a pod ends."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        variables = environment_of(container, manifests)
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = int(variables[f"{PREFIX}SHUTDOWN_TIMEOUT"])
        delay = float(variables.get(f"{PREFIX}SHUTDOWN_DELAY", 0))
        flush = logs.CLOSE_SECONDS + cloudwatch.CLOSE_SECONDS + 1
        grace = pod["terminationGracePeriodSeconds"]
        if grace <= sleep + delay + drain + flush:
            yield f"{environment}: {grace} s, for {sleep} + {delay} + {drain} + {flush} s"


def idle_connections_outlive_the_load_balancers(tree: Tree) -> Iterator[str]:
    """Otherwise a load balancer sends a request on a connection that is being closed: 502."""
    for environment in overlay.ENVIRONMENTS:
        ingress = one(tree.application(environment), "Ingress")
        attributes = ingress["metadata"]["annotations"][
            "alb.ingress.kubernetes.io/load-balancer-attributes"
        ]
        given = dict(attribute.split("=") for attribute in attributes.split(","))
        idle = int(given.get("idle_timeout.timeout_seconds", 60))  # AWS's default
        if idle >= KEEP_ALIVE:
            yield f"{environment}: the load balancer's last {idle} s, the pods' {KEEP_ALIVE} s"


def connections_stay_below_the_databases_limit(tree: Tree) -> Iterator[str]:
    """Every pod at the largest size, one more during a rollout, and the index job."""
    for environment in overlay.ENVIRONMENTS:
        pods = largest(tree, environment)
        if pods * OPTIONS["maxPoolSize"] >= ACTIVE_OPERATIONS:
            yield f"{environment}: {pods} pods with {OPTIONS['maxPoolSize']} connections each"


def largest(tree: Tree, environment: str) -> int:
    """The most pods that an environment has: all replicas, the surge and the index job."""
    manifests = tree.application(environment)
    surge = one(manifests, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    most: int = one(manifests, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    return most + int(surge) + 1


def the_quota_holds_every_pod(tree: Tree) -> Iterator[str]:
    """The namespace's quota never is what stops a rollout or the autoscaler."""
    quotas = of_kind(tree.render("."), "ResourceQuota")
    (quota,) = [q for q in quotas if q["metadata"]["namespace"] == "gaming-namespace"]
    hard = quota["spec"]["hard"]
    for environment in overlay.ENVIRONMENTS:
        pods = largest(tree, environment)
        (container,) = one(tree.application(environment), "Deployment")["spec"]["template"]["spec"][
            "containers"
        ]
        need = {
            "pods": float(pods),
            "requests.cpu": pods * quantity(container["resources"]["requests"]["cpu"]),
            "requests.memory": pods * quantity(container["resources"]["requests"]["memory"]),
            "limits.memory": pods * quantity(container["resources"]["limits"]["memory"]),
        }
        for name, amount in need.items():
            if amount > quantity(hard[name]):
                yield f"{environment}: {pods} pods need {name} {amount}, not {hard[name]}"


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number."""
    number = text.rstrip("GMim")
    return float(number) * {"": 1, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30}[text[len(number) :]]


def pods_are_restricted(tree: Tree) -> Iterator[str]:
    """No pod has more rights than it needs, and none is told of other services."""
    user = re.findall(r"^USER (\d+):(\d+)$", tree.text("Dockerfile"), re.MULTILINE)
    ((uid, gid),) = user
    for name, template in pod_templates(tree.application("prod")):
        pod, security = template["spec"], template["spec"].get("securityContext", {})
        wanted = {"runAsNonRoot": True, "runAsUser": int(uid), "runAsGroup": int(gid)}
        if not wanted.items() <= security.items():
            yield f"{name}: runs as {security}, and the image's user is {uid}:{gid}"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: no seccomp profile"
        for option in ("automountServiceAccountToken", "enableServiceLinks"):
            if pod.get(option) is not False:
                yield f"{name}: {option} is not false"
        for option in ("hostNetwork", "hostPID", "hostIPC", "volumes"):
            if option in pod:
                yield f"{name}: {option}"
        for container in containers(template):
            if container.get("securityContext") != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{name}: {container['name']} has {container.get('securityContext')}"
            if "memory" not in container["resources"]["limits"]:
                yield f"{name}: {container['name']} has no limit on memory"


def rollouts_keep_every_replica(tree: Tree) -> Iterator[str]:
    """The autoscaler alone decides how many there are, and a rollout never takes one away."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        deployment = one(manifests, "Deployment")
        scaler = one(manifests, "HorizontalPodAutoscaler")["spec"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if "replicas" in deployment["spec"]:
            yield f"{environment}: the Deployment says replicas, and so does the autoscaler"
        if deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"{environment}: a rollout takes pods away before there are new ones"
        if scaler["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
            yield f"{environment}: the autoscaler scales {scaler['scaleTargetRef']}"
        if not 2 <= scaler["minReplicas"] < scaler["maxReplicas"]:
            yield f"{environment}: {scaler['minReplicas']} to {scaler['maxReplicas']} replicas"
        budget = one(manifests, "PodDisruptionBudget")["spec"]
        if budget.get("maxUnavailable") != 1 or not matches(budget["selector"], labels):
            yield f"{environment}: the disruption budget is {budget}"
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            if not matches(spread["labelSelector"], labels):
                yield f"{environment}: {spread['topologyKey']} spreads other pods"


def overlays_differ_only_where_environments_do(tree: Tree) -> Iterator[str]:
    """Anything else that differs was not tested in the environment before."""
    allowed = (
        r"ConfigMap/\S+/data/GAME_API_(ENVIRONMENT|LOG_LEVEL)",
        r"HorizontalPodAutoscaler/game-api/spec/(min|max)Replicas",
        r"Ingress/game-api/metadata/annotations/.*/load-balancer-attributes",
        r".*/containers/0/image",
    )
    flat = {name: dict(flatten(tree.overlay(name))) for name in overlay.ENVIRONMENTS}
    for one_, other in itertools.combinations(overlay.ENVIRONMENTS, 2):
        for path in sorted(flat[one_].keys() | flat[other].keys()):
            if flat[one_].get(path) != flat[other].get(path):
                if not any(re.fullmatch(pattern, path) for pattern in allowed):
                    yield f"{one_} and {other} differ in {path}"


def flatten(manifests: list[Manifest]) -> Iterator[tuple[str, Any]]:
    """`Kind/name/path/to/value` and the value; a generated name counts without its hash."""

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
    return re.sub(r"^game-api-[0-9a-z]{10}$", "game-api", value) if type(value) is str else value


RULES: tuple[Rule, ...] = (
    schemas_hold,
    images_carry_the_overlays_tag,
    settings_are_known_and_good,
    facts_fill_every_gap,
    probed_paths_exist,
    ports_agree,
    pods_end_in_time,
    idle_connections_outlive_the_load_balancers,
    connections_stay_below_the_databases_limit,
    the_quota_holds_every_pod,
    pods_are_restricted,
    rollouts_keep_every_replica,
    overlays_differ_only_where_environments_do,
)
