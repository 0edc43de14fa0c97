"""Rules for how Argo CD delivers, and for the image. They work like the rules in `rules`."""

import re
from collections.abc import Iterator

from game_api.__main__ import INDEX_SECONDS
from gitops import overlay
from tests.gitops.rules import KUBERNETES, Rule
from tests.gitops.tree import FACTS, Manifest, Tree, find_one, of_kind, pod_templates

HOOK = "argocd.argoproj.io/hook"
DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
WAVE = "argocd.argoproj.io/sync-wave"
CHILDREN = {("", "Pod"), ("apps", "ReplicaSet")}
"""Kinds that the cluster creates from the manifests. Argo CD hides kinds that are not allowed.

It hides EndpointSlices even if they are allowed."""

START_SECONDS = 30
"""How long the pod of the index job may take to start."""

NAMESPACES = {"gaming-namespace", "monitoring-namespace", "data-namespace"}


def the_index_job_runs_before_the_sync(tree: Tree) -> Iterator[str]:
    """The index job and the resources that it needs are PreSync hooks; the others are not.

    Within a wave, Argo CD creates service accounts, network policies and ConfigMaps before jobs.
    """
    manifests = tree.application("prod")
    job = find_one(manifests, "Job")
    pod = job["spec"]["template"]["spec"]
    if hook_and_wave(job) != ("PreSync", 0):
        yield f"the job's hook and wave are {hook_and_wave(job)}"
    command, wait = pod["containers"][0]["args"]
    if command != "create-indexes":
        yield f"the job runs the command {command}"
    needed = int(wait.removeprefix("--wait=")) + INDEX_SECONDS + START_SECONDS
    if needed > job["spec"]["activeDeadlineSeconds"]:
        yield f"the job needs {needed} s, but has {job['spec']['activeDeadlineSeconds']} s"
    if {HOOK, DELETE_POLICY} & job["spec"]["template"]["metadata"].get("annotations", {}).keys():
        yield "the annotations of the hook are on the job's pods too"
    needs = [("ServiceAccount", pod["serviceAccountName"])]
    for source in pod["containers"][0]["envFrom"]:
        needs.append(("ConfigMap", source["configMapRef"]["name"]))
    needs.append(("NetworkPolicy", job["metadata"]["name"]))
    for kind, name in needs:
        found = hook_and_wave(find_one(manifests, kind, name))
        if found != ("PreSync", 0):
            yield f"the job needs {kind} {name}, whose hook and wave are {found}"
    if (
        "argocd.argoproj.io/sync-options"
        in find_one(manifests, *needs[1])["metadata"]["annotations"]
    ):
        yield "the settings of the job are kept, so no sync could replace them"
    for kind in ("Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"):
        if HOOK in find_one(manifests, kind)["metadata"].get("annotations", {}):
            yield f"{kind} is a hook, so every sync would delete and recreate it"


def hook_and_wave(manifest: Manifest) -> tuple[str | None, int]:
    annotations = manifest["metadata"].get("annotations", {})
    return annotations.get(HOOK), int(annotations.get(WAVE, 0))


def every_pod_has_one_network_policy(tree: Tree) -> Iterator[str]:
    """A pod has one NetworkPolicy. On the internet, only the service reaches only the keys."""
    manifests = tree.application("prod")
    policies = of_kind(manifests, "NetworkPolicy")
    for name, template in pod_templates(manifests):
        labels = template["metadata"]["labels"]
        own = [
            policy
            for policy in policies
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        ]
        if [policy["spec"]["policyTypes"] for policy in own] != [["Ingress", "Egress"]]:
            yield f"{name} has {len(own)} policies, but needs one for ingress and egress"
    keys = {
        "to": [{"ipBlock": {"cidr": FACTS["jwks_cidr"]}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    if find_one(manifests, "NetworkPolicy", "game-api")["spec"]["egress"].count(keys) != 1:
        yield "the service cannot fetch the keys of the issuer"
    for policy in policies:
        for rule in policy["spec"]["egress"] + policy["spec"].get("ingress", []):
            if rule == keys and policy["metadata"]["name"] == "game-api":
                continue
            for peer in rule.get("to", rule.get("from", [{}])) or [{}]:
                if peer.get("ipBlock", {}).get("cidr", "x").endswith("/0") or not peer:
                    yield f"NetworkPolicy {policy['metadata']['name']} is open to the internet"


def namespaces_are_protected(tree: Tree) -> Iterator[str]:
    """A namespace denies traffic by default, has a quota, and enforces the current standard."""
    manifests = tree.render(".")
    found = {manifest["metadata"]["name"]: manifest for manifest in of_kind(manifests, "Namespace")}
    if found.keys() != NAMESPACES:
        yield f"the namespaces are {sorted(found)}"
    for name, namespace in found.items():
        labels = namespace["metadata"]["labels"]
        if labels.get("pod-security.kubernetes.io/enforce-version") != f"v{KUBERNETES}":
            yield f"{name} does not enforce the standard's version {KUBERNETES}"
        inside = [m for m in manifests if m["metadata"].get("namespace") == name]
        deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        if [policy["spec"] for policy in of_kind(inside, "NetworkPolicy")] != [deny]:
            yield f"{name} does not deny traffic by default"
        if len(of_kind(inside, "ResourceQuota")) != 1:
            yield f"{name} does not have one ResourceQuota"


def every_cluster_follows_its_branch(tree: Tree) -> Iterator[str]:
    """Argo CD follows the branch into which promotions to its environment are merged."""
    for environment in overlay.ENVIRONMENTS:
        text = tree.text(f"terraform/environments/{environment}.argocd.tfvars")
        found = re.findall(r'^repository_revision *= *"(.*)"$', text, re.MULTILINE)
        branch = overlay.branch(environment)
        if found != [branch] and not (branch == overlay.MAIN and not found):
            yield f"the cluster of {environment} follows {found}"


def the_project_allows_only_what_is_needed(tree: Tree) -> Iterator[str]:
    """The project allows one repository, our namespaces, and the kinds that are in use."""
    project = find_one(tree.render("."), "AppProject", "game-session")["spec"]
    if project["sourceRepos"] != ["fact:repository_url"]:
        yield f"the project allows the repositories {project['sourceRepos']}"
    if {destination["namespace"] for destination in project["destinations"]} != NAMESPACES:
        yield f"the project allows the destinations {project['destinations']}"
    if project["clusterResourceWhitelist"]:
        cluster_kinds = project["clusterResourceWhitelist"]
        yield f"the project allows the cluster-scoped kinds {cluster_kinds}"
    allowed = {(kind["group"], kind["kind"]) for kind in project["namespaceResourceWhitelist"]}
    used = set()
    for environment in overlay.ENVIRONMENTS:
        for manifest in tree.application(environment):
            group = manifest["apiVersion"].rpartition("/")[0]
            used.add((group, manifest["kind"]))
            if manifest["metadata"].get("namespace") not in NAMESPACES:
                yield f"{manifest['kind']} is in {manifest['metadata'].get('namespace')}"
    for group, kind in (used | CHILDREN) ^ allowed:
        yield f"{kind} is {'not allowed' if (group, kind) not in allowed else 'not needed'}"


def application_sets_come_after_their_projects(tree: Tree) -> Iterator[str]:
    """An ApplicationSet is created after the projects, which are in the first wave."""
    for application_set in of_kind(tree.render("."), "ApplicationSet"):
        if hook_and_wave(application_set)[1] < 1:
            yield f"{application_set['metadata']['name']}: may be created before its project"


def every_environment_has_its_application(tree: Tree) -> Iterator[str]:
    """The ApplicationSet generates an Application for each environment, from its overlay."""
    for environment in overlay.ENVIRONMENTS:
        application = tree.template("game-api", environment)
        metadata, source = application["metadata"], application["spec"]["source"]
        if metadata["name"] != f"game-api-{environment}":
            yield f"{environment}: the name of the Application is {metadata['name']}"
        if source["path"] != f"apps/game-api/overlays/{environment}":
            yield f"{environment}: the Application syncs {source['path']}"
        watched = metadata["annotations"]["argocd.argoproj.io/manifest-generate-paths"]
        if watched != "/apps/game-api":
            yield f"{environment}: Argo CD only renders again for changes in {watched}"
    manifest = find_one(tree.render("."), "ApplicationSet", "game-api")
    (expression,) = manifest["spec"]["generators"][0]["clusters"]["selector"]["matchExpressions"]
    if tuple(expression["values"]) != overlay.ENVIRONMENTS:
        yield f"the environments are {expression['values']}"


def the_image_is_pinned_and_minimal(tree: Tree) -> Iterator[str]:
    """The image has a pinned base, pinned dependencies and labels, and no build tools."""
    text = tree.text("Dockerfile")
    build, final = text.rsplit("\nFROM ", 1)
    if not re.search(r"^ARG PYTHON_IMAGE=python:3\.13\.\d+-slim-\w+(@sha256:\w{64})?$", text, re.M):
        yield "the base image is not an exact version of python:3.13-slim"
    if "RUN --mount" in text:
        yield "RUN --mount does not work with the classic builder"
    for install in re.findall(
        r"pip\S* (?:--python \S+ )?install (.*?)(?=&&|\nCOPY|\nRUN|$)", build, re.S
    ):
        if "--require-hashes" not in install and "--no-index" not in install:
            yield f"installed without hashes: {install.strip()}"
    for word in ("local.txt", "dev.txt", "apt-get", "secantus"):
        if word in text:
            yield f"{word} must not be in the image"
    if re.search(r"\bpip (install|wheel)|-m venv", final):
        yield "the final stage installs or builds packages"
    for label in ("revision", "source", "version"):
        if f"org.opencontainers.image.{label}=" not in final:
            yield f"the image has no label {label}"
    if "compileall.compile_dir(" not in final:
        yield "each start of the image compiles the standard library"
    if "GAME_API_COMMIT=" not in final:
        yield "the image does not set GAME_API_COMMIT"


RULES: tuple[Rule, ...] = (
    every_cluster_follows_its_branch,
    the_index_job_runs_before_the_sync,
    every_pod_has_one_network_policy,
    namespaces_are_protected,
    the_project_allows_only_what_is_needed,
    application_sets_come_after_their_projects,
    every_environment_has_its_application,
    the_image_is_pinned_and_minimal,
)
