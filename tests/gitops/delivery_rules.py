"""What holds for how Argo CD and the workflows deliver: rules as in `rules`."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from gitops import overlay
from tests.gitops.rules import KUBERNETES, Rule
from tests.gitops.tree import ROOT, Manifest, Tree, of_kind, one, pod_templates

HOOK = "argocd.argoproj.io/hook"
WAVE = "argocd.argoproj.io/sync-wave"
CHILDREN = {("", "Pod"), ("apps", "ReplicaSet"), ("discovery.k8s.io", "EndpointSlice")}
"""What the cluster makes of the manifests. Argo CD hides what its project does not allow."""

NAMESPACES = {"gaming-namespace", "monitoring-namespace", "data-namespace"}


def the_index_job_runs_before_anything_changes(tree: Tree) -> Iterator[str]:
    """And what it needs is made by the same kind of hook: of one wave, Argo CD makes accounts,
    policies and maps before jobs."""
    manifests = tree.application("prod")
    job = one(manifests, "Job")
    pod = job["spec"]["template"]["spec"]
    if hook(job) != ("PreSync", 0):
        yield f"the job runs at {hook(job)}"
    if pod["containers"][0].get("args") != ["create-indexes"]:
        yield f"the job runs {pod['containers'][0].get('args')}"
    needs = [("ServiceAccount", pod["serviceAccountName"])]
    for source in pod["containers"][0]["envFrom"]:
        needs.append(("ConfigMap", source["configMapRef"]["name"]))
    needs.append(("NetworkPolicy", job["metadata"]["name"]))
    for kind, name in needs:
        if hook(one(manifests, kind, name)) != ("PreSync", 0):
            made = hook(one(manifests, kind, name))
            yield f"the job needs {kind} {name}, which is made at {made}"
    for kind in ("Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"):
        if HOOK in one(manifests, kind)["metadata"].get("annotations", {}):
            yield f"{kind} is a hook, and so would be deleted and made anew"


def hook(manifest: Manifest) -> tuple[str | None, int]:
    annotations = manifest["metadata"].get("annotations", {})
    return annotations.get(HOOK), int(annotations.get(WAVE, 0))


def every_pod_has_its_network_policy(tree: Tree) -> Iterator[str]:
    """Nothing in, nothing out, but what a policy of its own allows."""
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
            yield f"{name} has {len(own)} policies"
    for policy in policies:
        for rule in policy["spec"]["egress"] + policy["spec"].get("ingress", []):
            for peer in rule.get("to", rule.get("from", [{}])) or [{}]:
                if peer.get("ipBlock", {}).get("cidr", "x").endswith("/0") or not peer:
                    yield f"NetworkPolicy {policy['metadata']['name']} is open to the internet"


def namespaces_are_guarded(tree: Tree) -> Iterator[str]:
    """Restricted pods, a quota, everything denied by default, and no pruning by accident."""
    manifests = tree.render(".")
    found = {manifest["metadata"]["name"]: manifest for manifest in of_kind(manifests, "Namespace")}
    if found.keys() != NAMESPACES:
        yield f"the namespaces are {sorted(found)}"
    for name, namespace in found.items():
        labels = namespace["metadata"]["labels"]
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name} does not enforce restricted pods"
        if labels.get("pod-security.kubernetes.io/enforce-version") != f"v{KUBERNETES}":
            yield f"{name} does not enforce them as of {KUBERNETES}"
        options = namespace["metadata"]["annotations"].get("argocd.argoproj.io/sync-options", "")
        if set(options.split(",")) != {"Prune=confirm", "Delete=confirm"}:
            yield f"{name} can be pruned: {options}"
        inside = [m for m in manifests if m["metadata"].get("namespace") == name]
        deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        if [policy["spec"] for policy in of_kind(inside, "NetworkPolicy")] != [deny]:
            yield f"{name} does not deny by default"
        if len(of_kind(inside, "ResourceQuota")) != 1:
            yield f"{name} has no quota"


def the_project_allows_what_is_needed_and_no_more(tree: Tree) -> Iterator[str]:
    """One repository, our namespaces, and the kinds that the overlays hold."""
    project = one(tree.render("."), "AppProject", "game-session")["spec"]
    if project["sourceRepos"] != ["fact:repository_url"]:
        yield f"the project allows {project['sourceRepos']}"
    if {place["namespace"] for place in project["destinations"]} != NAMESPACES:
        yield f"the project allows {project['destinations']}"
    if project["clusterResourceWhitelist"]:
        yield f"the project allows {project['clusterResourceWhitelist']}"
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
    windows = project["syncWindows"]
    if [(window["kind"], window["applications"]) for window in windows] != [
        ("allow", ["game-api-prod"])
    ]:
        yield f"production's sync window is {windows}"


def applications_heal_and_survive(tree: Tree) -> Iterator[str]:
    """Argo CD keeps a cluster as git says, and an unknown fact stops it before anything changes."""
    for found in of_kind(tree.render("."), "ApplicationSet"):
        name, spec = found["metadata"]["name"], found["spec"]
        if not spec.get("goTemplate") or spec.get("goTemplateOptions") != ["missingkey=error"]:
            yield f"{name}: a missing fact is not an error"
        if not spec.get("syncPolicy", {}).get("preserveResourcesOnDeletion"):
            yield f"{name}: takes everything along when it goes"
        sync = spec["template"]["spec"]["syncPolicy"]
        if sync.get("automated") != {"prune": True, "selfHeal": True} or "retry" not in sync:
            yield f"{name}: syncs {sync}"
        if not {"ServerSideApply=true", "PruneLast=true"} <= set(sync["syncOptions"]):
            yield f"{name}: syncs with {sync['syncOptions']}"
        projects = {
            project["metadata"]["name"] for project in of_kind(tree.render("."), "AppProject")
        }
        if spec["template"]["spec"]["project"] not in projects:
            yield f"{name}: no project {spec['template']['spec']['project']}"
        if hook(found)[1] < 1:
            yield f"{name}: may be there before its project is"
    for environment in overlay.ENVIRONMENTS:
        application = tree.template("game-api", environment)
        if application["metadata"]["name"] != f"game-api-{environment}":
            yield f"{environment}: the Application is {application['metadata']['name']}"
        path = application["spec"]["source"]["path"]
        rendered = application["metadata"]["annotations"][
            "argocd.argoproj.io/manifest-generate-paths"
        ]
        if path != overlay.path(environment).rpartition("/")[0] or rendered != "/apps/game-api":
            yield f"{environment}: syncs {path}, renders anew for {rendered}"
    generator = one(tree.render("."), "ApplicationSet", "game-api")["spec"]["generators"][0]
    (expression,) = generator["clusters"]["selector"]["matchExpressions"]
    if tuple(expression["values"]) != overlay.ENVIRONMENTS:
        yield f"the environments are {expression['values']}"


def workflows_have_few_rights(tree: Tree) -> Iterator[str]:
    """Pinned actions, rights job by job, an end to every job, and no way to a cluster."""
    for name, workflow in tree.workflows().items():
        text = tree.text(f".github/workflows/{name}.yaml")
        for line in re.findall(r"uses: (.*)", text):
            if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*|\./.*", line):
                yield f"{name}: {line} is not pinned by a commit, with its version"
        if workflow.get("permissions") != {"contents": "read"}:
            yield f"{name}: may {workflow.get('permissions')} by default"
        if "concurrency" not in workflow:
            yield f"{name}: runs at the same time as itself"
        for word in ("kubectl", "argocd", "kubeconfig", "eks", "secrets.AWS", "aws-access-key-id"):
            if word in text:
                yield f"{name}: has to do with {word}"
        for job, body in workflow["jobs"].items():
            if "uses" not in body and "timeout-minutes" not in body:
                yield f"{name}: {job} may run for ever"
            rights = body.get("permissions", {})
            if rights.get("contents") == "write" and job not in ("bump", "promote"):
                yield f"{name}: {job} may write"


def releases_follow_the_images_inputs(tree: Tree) -> Iterator[str]:
    """What the image is made of starts a release, and what a release commits does not."""
    paths = tree.workflows()["release"]["on"]["push"]["paths"]
    ignore = tree.text(".dockerignore").splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    inputs = {"Dockerfile", ".dockerignore", *allowed}
    for path in inputs:
        if not any(
            fnmatch(path, pattern.replace("**", "*")) or pattern == f"{path}/**"
            for pattern in paths
        ):
            yield f"a change of {path} makes no release"
    for pattern in paths:
        base = pattern.removesuffix("/**")
        if not any(fnmatch(base, path) or path == f"{base}/*.pem" for path in inputs):
            yield f"{pattern} is in no image, and makes a release"
    for environment in overlay.ENVIRONMENTS:
        if any(fnmatch(overlay.path(environment), pattern) for pattern in paths):
            yield f"the tag that a release commits to {environment} makes a release"
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", tree.text("Dockerfile"), re.MULTILINE)
    for path in " ".join(copied).split():
        if "$" not in path and path not in allowed:
            yield f"the Dockerfile copies {path}, and .dockerignore leaves it out"


def the_image_holds_what_it_needs(tree: Tree) -> Iterator[str]:
    """A pinned base, pinned dependencies, any builder, and no secret way around the pins."""
    text = tree.text("Dockerfile")
    build, final = text.rsplit("\nFROM ", 1)
    if not re.search(r"^ARG PYTHON_IMAGE=python:3\.13\.\d+-slim-\w+(@sha256:\w{64})?$", text, re.M):
        yield "the base image is no exact version of python:3.13-slim"
    if "RUN --mount" in text:
        yield "RUN --mount: the classic builder can't"
    for install in re.findall(
        r"pip\S* (?:--python \S+ )?install (.*?)(?=&&|\nCOPY|\nRUN|$)", build, re.S
    ):
        if "--require-hashes" not in install and "--no-index" not in install:
            yield f"installed without hashes: {install.strip()}"
    for word in ("local.txt", "dev.txt", "apt-get", "secantus"):
        if word in text:
            yield f"{word} has no place in the image"
    if re.search(r"\bpip (install|wheel)|-m venv", final):
        yield "something is built in the final stage"
    for label in ("revision", "source", "version"):
        if f"org.opencontainers.image.{label}=" not in final:
            yield f"the image has no label {label}"
    if "GAME_API_COMMIT=" not in final:
        yield "the image does not know its commit"


def workflows_call_what_make_has(tree: Tree) -> Iterator[str]:
    """Every target exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, workflow in tree.workflows().items():
        for step in steps(workflow):
            for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                if target not in targets:
                    yield f"{name}: make {target} does not exist"


def promotions_follow_the_order(tree: Tree) -> Iterator[str]:
    """What can be chosen is what there is."""
    inputs = tree.workflows()["promote"]["on"]["workflow_dispatch"]["inputs"]
    chosen = tuple(inputs["from"]["options"]), tuple(inputs["to"]["options"])
    if chosen != (overlay.ENVIRONMENTS[:-1], overlay.ENVIRONMENTS[1:]):
        yield f"promotions can be from and to {chosen}"


def steps(workflow: Manifest) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


RULES: tuple[Rule, ...] = (
    the_index_job_runs_before_anything_changes,
    every_pod_has_its_network_policy,
    namespaces_are_guarded,
    the_project_allows_what_is_needed_and_no_more,
    applications_heal_and_survive,
    workflows_have_few_rights,
    releases_follow_the_images_inputs,
    the_image_holds_what_it_needs,
    workflows_call_what_make_has,
    promotions_follow_the_order,
)
