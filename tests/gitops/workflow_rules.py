"""Rules for the workflows of GitHub. They work like the rules in `rules`."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from gitops import image, overlay
from tests.e2e.terraform import FILES
from tests.gitops.rules import Rule
from tests.gitops.tree import ROOT, Manifest, Tree

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
    if "persist-credentials" in checkout["with"]:
        yield "the check of promotions cannot fetch from a private repository"


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
    workflows_have_few_permissions,
    only_changes_to_the_image_start_a_release,
    only_the_tag_of_a_client_publishes_it,
    workflows_only_plan,
    a_plan_cannot_write,
    terraform_has_one_version,
    workflows_call_existing_make_targets,
    promotions_follow_the_order_of_environments,
    one_check_stands_for_all,
    promotions_are_checked_by_main,
    images_are_verified_before_they_are_deployed,
    the_cluster_tests_run_for_what_they_read,
)
