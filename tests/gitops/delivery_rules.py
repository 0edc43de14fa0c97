"""Rules for how Argo CD and the workflows deliver. They work like the rules in `rules`."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from game_api.__main__ import INDEX_SECONDS
from gitops import image, overlay
from tests.e2e.terraform import FILES
from tests.gitops.rules import KUBERNETES, Rule
from tests.gitops.tree import FACTS, ROOT, Manifest, Tree, find_one, of_kind, pod_templates

HOOK = "argocd.argoproj.io/hook"
DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
WAVE = "argocd.argoproj.io/sync-wave"
CHILDREN = {("", "Pod"), ("apps", "ReplicaSet")}
"""Kinds that the cluster creates from the manifests. Argo CD hides kinds that are not allowed.

It hides EndpointSlices even if they are allowed."""

START_SECONDS = 30
"""How long the pod of the index job may take to start."""

NAMESPACES = {"gaming-namespace", "monitoring-namespace", "data-namespace"}

RELEASE_CLIENTS = ".github/workflows/release-clients.yaml"

INFRA = ".github/workflows/infra.yaml"

PLANNED = [*overlay.ENVIRONMENTS, "registry"]
"""What the workflow `infra` plans."""

FROM_THIS_REPOSITORY = (
    "github.event_name == 'schedule' || "
    "github.event.pull_request.head.repo.full_name == github.repository"
)
"""The condition that leaves out pull requests from forks."""

CLIENTS = {"python": "pypi", "typescript": "npm", "unity": "unity"}
"""The environment of GitHub from which each client is published."""


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


def workflows_have_few_permissions(tree: Tree) -> Iterator[str]:
    """Actions are pinned, jobs have few permissions and a timeout, and none reaches a cluster."""
    for name, workflow in tree.workflows().items():
        text = tree.text(f".github/workflows/{name}.yaml")
        for line in re.findall(r"\buses: (.*)", text):
            if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*|\./.*", line):
                yield f"{name}: {line} is not pinned to a commit with a version comment"
        if workflow.get("permissions") != {"contents": "read"}:
            yield f"{name}: the default permissions are {workflow.get('permissions')}"
        if "concurrency" not in workflow:
            yield f"{name}: has no concurrency group"
        for word in ("kubectl", "argocd", "kubeconfig", "eks", "secrets.AWS", "aws-access-key-id"):
            if word in text.replace("terraform/argocd/", ""):
                yield f"{name}: contains the word {word}"
        for job, body in workflow["jobs"].items():
            if "uses" not in body and "timeout-minutes" not in body:
                yield f"{name}: {job} has no timeout"
            permissions = body.get("permissions", {})
            if permissions.get("contents") == "write" and job not in (
                "bump",
                "promote",
                "rollback",
                "unity",
            ):
                yield f"{name}: {job} may write to the repository"


def only_changes_to_the_image_start_a_release(tree: Tree) -> Iterator[str]:
    """Changes to the image's inputs start a release; the commit of a release does not.

    Each commit of `main` is checked, and a release is part of that run.
    """
    ci, release = tree.workflows()["ci"], tree.workflows()["release"]
    (variables,) = [step["env"] for step in ci["jobs"]["changes"]["steps"] if "env" in step]
    found = set(variables["IMAGE"].split())
    ignore = tree.text(".dockerignore").splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    inputs = {"Dockerfile", ".dockerignore", *allowed}
    for path in inputs - found:
        yield f"a change to {path} does not start a release"
    for path in found - inputs:
        yield f"{path} is not in the image, but starts a release"
    if variables["TAG"] != image.PATH:
        yield f"the tag is not in {variables['TAG']}"
    if release["on"].get("push") != {"branches": ["main"]} or "main" in str(ci["on"].get("push")):
        yield "not every commit of main is checked exactly once"
    if "github.sha" not in release["concurrency"]["group"]:
        yield "a newer commit keeps an older one from being checked"
    build = release["jobs"]["build"]
    if build["needs"] != "ci" or build.get("if") != "needs.ci.outputs.image == 'true'":
        yield f"an image is released if {build.get('if')}"
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", tree.text("Dockerfile"), re.MULTILINE)
    for path in " ".join(copied).split():
        if "$" not in path and path not in allowed:
            yield f"the Dockerfile copies {path}, but .dockerignore excludes it"


def only_the_tag_of_a_client_publishes_it(tree: Tree) -> Iterator[str]:
    """A client is published by its tag, after the checks, in its environment, without a secret."""
    workflow, text = tree.workflows()["release-clients"], tree.text(RELEASE_CLIENTS)
    if workflow["on"] != {"push": {"tags": [f"{client}-v*" for client in CLIENTS]}}:
        yield f"the clients are published by {workflow['on']}"
    if workflow["jobs"].keys() != {"ci", *CLIENTS}:
        yield f"the jobs are {sorted(workflow['jobs'])}"
    if "secrets." in text:
        yield "a client is published with a stored secret"
    for client, environment in CLIENTS.items():
        job = workflow["jobs"][client]
        if job.get("if") != f"startsWith(github.ref_name, '{client}-v')":
            yield f"{client}: is published if {job.get('if')}"
        if job.get("needs") != "ci":
            yield f"{client}: is published without the checks"
        if job.get("environment") != environment:
            yield f"{client}: the environment is {job.get('environment')}"
        oidc = {"contents": "read", "id-token": "write"}
        if job.get("permissions") != ({"contents": "write"} if client == "unity" else oidc):
            yield f"{client}: the permissions are {job.get('permissions')}"
        first = next(step["run"] for step in job["steps"] if "run" in step)
        if f'"$GITHUB_REF_NAME" != "{client}-v$version"' not in first:
            yield f"{client}: the version in the tag is not checked first"


def workflows_only_plan(tree: Tree) -> Iterator[str]:
    """No workflow changes AWS with Terraform, and only one plans."""
    for name, workflow in tree.workflows().items():
        for step in steps(workflow):
            script = step.get("run", "").replace("\\\n", " ")
            for command in re.findall(r"\bterraform (?:-\S+ +)*(\w+)", script):
                if name != "infra" or command not in ("init", "plan", "show"):
                    yield f"{name}: runs terraform {command}"
            for target in re.findall(r"\bmake (infra-(?!test\b)\S+)", script):
                yield f"{name}: runs make {target}"
            for plan in re.findall(r"\bterraform (?:-\S+ +)*plan .*", script):
                if "-lock=false" not in plan or "-input=false" not in plan:
                    yield f"{name}: a plan takes the lock, or asks: {plan}"
                if ">/dev/null" not in plan:
                    yield f"{name}: the log shows the values in the plan"


def a_plan_cannot_write(tree: Tree) -> Iterator[str]:
    """The job with credentials for AWS can't write to GitHub. Those that can run no other code."""
    workflow, text = tree.workflows()["infra"], tree.text(INFRA)
    events = workflow["on"]
    if events.keys() != {"pull_request", "schedule"}:
        yield f"plans are made by {sorted(events)}"
        return
    if "terraform/**" not in events["pull_request"]["paths"]:
        yield f"only changes of {events['pull_request']['paths']} are planned"
    if "secrets." in text:
        yield "a plan uses a stored secret"
    permissions = {
        "plan": {"contents": "read", "id-token": "write"},
        "comment": {"pull-requests": "write"},
        "drift": {"issues": "write"},
    }
    for name, job in workflow["jobs"].items():
        if job.get("permissions") != permissions.get(name):
            yield f"{name}: the permissions are {job.get('permissions')}"
        if name != "plan" and any("uses" in step for step in job["steps"]):
            yield f"{name}: runs an action, but may write to GitHub"
        if job["strategy"]["matrix"] != {"environment": PLANNED}:
            yield f"{name}: the environments are {job['strategy']['matrix']}"
    plan = workflow["jobs"]["plan"]
    if plan.get("if") != FROM_THIS_REPOSITORY:
        yield f"plans are made if {plan.get('if')}"
    account = "${{ matrix.environment == 'registry' && 'dev' || matrix.environment }}"
    if plan.get("environment") != f"{account}-plan":
        yield f"plans are made in the environment {plan.get('environment')}"
    if plan["outputs"] != {name: f"${{{{ steps.plan.outputs.{name} }}}}" for name in PLANNED}:
        yield f"the outputs are {plan['outputs']}"


def terraform_has_one_version(tree: Tree) -> Iterator[str]:
    """All workflows install the same version of Terraform."""
    versions = {
        step["with"]["terraform_version"]
        for workflow in tree.workflows().values()
        for step in steps(workflow)
        if "hashicorp/setup-terraform@" in step.get("uses", "")
    }
    if len(versions) != 1:
        yield f"the workflows install Terraform {sorted(map(str, versions))}"


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


def workflows_call_existing_make_targets(tree: Tree) -> Iterator[str]:
    """Workflows call only make targets that the Makefile defines."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, workflow in tree.workflows().items():
        for step in steps(workflow):
            for target in re.findall(r"\bmake ([a-z0-9-]+)", step.get("run", "")):
                if target not in targets:
                    yield f"{name}: make {target} does not exist"


def promotions_follow_the_order_of_environments(tree: Tree) -> Iterator[str]:
    """The workflows offer the environments in the order of promotion."""
    inputs = tree.workflows()["promote"]["on"]["workflow_dispatch"]["inputs"]
    choices = tuple(inputs["from"]["options"]), tuple(inputs["to"]["options"])
    if choices != (overlay.ENVIRONMENTS[:-1], overlay.ENVIRONMENTS[1:]):
        yield f"the promote workflow offers {choices}"
    inputs = tree.workflows()["rollback"]["on"]["workflow_dispatch"]["inputs"]
    if tuple(inputs["environment"]["options"]) != overlay.ENVIRONMENTS:
        yield f"the rollback workflow offers {inputs['environment']['options']}"


def one_check_stands_for_all(tree: Tree) -> Iterator[str]:
    """The job `passed` waits for every other job of `ci`. A new tag needs only `manifests`."""
    jobs = tree.workflows()["ci"]["jobs"]
    others = jobs.keys() - {"passed"}
    if set(jobs["passed"]["needs"]) != others or jobs["passed"].get("if") != "always()":
        yield f"passed does not wait for {sorted(others - set(jobs['passed']['needs']))}"
    for name in others - {"changes"}:
        condition = None if name == "manifests" else "needs.changes.outputs.only-tag != 'true'"
        if jobs[name].get("if") != condition:
            yield f"{name} runs if {jobs[name].get('if')}"


def promotions_are_checked_by_main(tree: Tree) -> Iterator[str]:
    """A pull request into the branch of an environment is checked by the code of `main`.

    Its own code could accept itself. The check has neither secrets nor the right to write.
    """
    for name, workflow in tree.workflows().items():
        if name != "promotion" and "pull_request_target" in workflow["on"]:
            yield f"{name}: pull requests may use its secrets"
    workflow = tree.workflows()["promotion"]
    event = workflow["on"].get("pull_request_target", {})
    if len(workflow["on"]) != 1 or "edited" not in event.get("types", []):
        yield f"promotions are checked on {workflow['on']}"
    for environment in overlay.ENVIRONMENTS[1:]:
        branch = overlay.branch(environment)
        if not any(fnmatch(branch, pattern) for pattern in event.get("branches", [])):
            yield f"pull requests into {branch} are not checked"
    (job,) = workflow["jobs"].values()
    if "permissions" in job or "secrets." in tree.text(".github/workflows/promotion.yaml"):
        yield "the check of promotions has more than the right to read"
    checkout, check = job["steps"]
    if checkout["with"].get("ref") != "main" or "checkout" in check["run"]:
        yield "the check of promotions runs the code of the pull request"
    if checkout["with"].get("persist-credentials") is not False:
        yield "the check of promotions keeps a token"


def images_are_verified_before_they_are_deployed(tree: Tree) -> Iterator[str]:
    """A release and a promotion verify by whom and of which commit an image was built."""
    flags = (
        "--certificate-oidc-issuer",
        "--certificate-identity",
        "--certificate-github-workflow-sha",
    )
    for name, later in (("release", "make bump"), ("promote", "make promote")):
        scripts = [step.get("run", "") for step in steps(tree.workflows()[name])]
        found = [index for index, text in enumerate(scripts) if "cosign verify" in text]
        if not found or not all(flag in scripts[found[0]] for flag in flags):
            yield f"{name} does not verify the image"
        elif found[0] >= next(i for i, text in enumerate(scripts) if later in text):
            yield f"{name} verifies the image too late"


CLUSTER_READS = (
    *(".dockerignore", ".github/workflows/cluster.yaml", "Dockerfile", "Makefile"),
    *("apps", "clusters", "kustomization.yaml", "requirements/dev.txt", "tests/e2e/argocd/go.mod"),
)
"""What the cluster tests read, beside what they import and what is in the image."""


def the_cluster_tests_run_for_what_they_read(tree: Tree) -> Iterator[str]:
    """The workflow `cluster` runs for every change of what it tests, and each night."""
    events = tree.workflows()["cluster"]["on"]
    if "schedule" not in events:
        yield "the cluster tests do not run each night"
    ignore = tree.text(".dockerignore").splitlines()
    read = {
        *CLUSTER_READS,
        *(line.removeprefix("!") for line in ignore if line.startswith("!")),
        *(f"terraform/argocd/{name}" for name in FILES),
        *imported_files("tests/e2e"),
    }
    for event in ("push", "pull_request"):
        patterns = [re.escape(pattern) for pattern in events[event]["paths"]]
        filters = [p.replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for p in patterns]
        for path in sorted(read):
            name = f"{path}/x" if (ROOT / path).is_dir() else path
            if not any(re.fullmatch(filter, name) for filter in filters):
                yield f"a {event} that changes {path} does not run the cluster tests"


def imported_files(folder: str) -> set[str]:
    """The files of the repository that the Python files of a folder import, and these themselves.

    The paths are relative to the root.
    """
    found: set[Path] = set()
    new = set((ROOT / folder).glob("*.py"))
    while new:
        found |= new
        names = {name for file in new for name in imports(ast.parse(file.read_text()))}
        paths = {base / name.replace(".", "/") for base in (ROOT, ROOT / "src") for name in names}
        files = {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")}
        new = {file for file in files if file.is_file()} - found
    return {str(file.relative_to(ROOT)) for file in found}


def imports(module: ast.Module) -> Iterator[str]:
    """The names of the modules that a module may import."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def steps(workflow: Manifest) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


RULES: tuple[Rule, ...] = (
    the_index_job_runs_before_the_sync,
    every_pod_has_one_network_policy,
    namespaces_are_protected,
    the_project_allows_only_what_is_needed,
    application_sets_come_after_their_projects,
    every_environment_has_its_application,
    workflows_have_few_permissions,
    only_changes_to_the_image_start_a_release,
    only_the_tag_of_a_client_publishes_it,
    workflows_only_plan,
    a_plan_cannot_write,
    terraform_has_one_version,
    the_image_is_pinned_and_minimal,
    workflows_call_existing_make_targets,
    promotions_follow_the_order_of_environments,
    one_check_stands_for_all,
    promotions_are_checked_by_main,
    images_are_verified_before_they_are_deployed,
    the_cluster_tests_run_for_what_they_read,
)
