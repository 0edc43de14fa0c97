"""Rules for who may change what has privileges. They work like the rules in `rules`."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.gitops.platform_rules import CHARTS
from tests.gitops.rules import Rule
from tests.gitops.tree import FACTS, ROOT, Tree, find_one, of_kind, pod_templates

CODEOWNERS = ".github/CODEOWNERS"

GUARDS = (".ci", "tests/e2e", "tests/gitops", "tests/terraform")
"""The checks that hold what has privileges."""

PROJECTS = {"default", "game-session", "platform"}
REPOSITORIES = {
    "fact:repository_url",
    FACTS["repository_url"],
    *(chart.repository for chart in CHARTS.values()),
}

IMAGES = "game-api-images"
"""The name of the admission policy and its binding."""


def the_platform_team_owns_what_has_privileges(tree: Tree) -> Iterator[str]:
    """Whoever may change what has privileges has them too, so the platform team approves that.

    The platform team is another one than those that own the service and its manifests.
    """
    text = tree.text(CODEOWNERS)
    service = ("src/game_api/app.py", "apps/game-api/base/deployment.yaml")
    others = {"nobody", *(owner_of(path, text) for path in service)}
    for path in sorted(privileged_paths(tree)):
        if (owner := owner_of(path, text)) in others:
            yield f"{path}: {owner} may approve a change"


def privileged_paths(tree: Tree) -> set[str]:
    """The files that decide what has privileges in a cluster, in AWS or in a workflow."""
    ignore = tree.text(".dockerignore").splitlines()
    image = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    folders = [path for path in (ROOT / "src").iterdir() if (path / "__main__.py").exists()]
    commands = {str(path.relative_to(ROOT)) for path in folders} - {"src/game_api"}
    return {
        # The root Application may create projects, and each Application what its project allows.
        *synced_files(tree.root, tree.root),
        # Applied by people who may change everything in an account.
        *(str(path.relative_to(tree.root)) for path in (tree.root / "terraform").rglob("*.tf*")),
        # Workflows and the commands that they run have the rights to push commits and images.
        *(
            str(path.relative_to(tree.root))
            for path in (tree.root / ".github").rglob("*")
            if path.is_file()
        ),
        *("Makefile", "Dockerfile", ".dockerignore"),
        *(f"{path}/__main__.py" for path in commands),
        *(image - {"LICENSE", "src/game_api"}),
        *(f"{path}/__init__.py" for path in GUARDS),
    }


def synced_files(folder: Path, root: Path) -> Iterator[str]:
    """The files of a kustomization, and of those that it consists of, relative to the root."""
    yield str((folder / "kustomization.yaml").relative_to(root))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        if path.is_dir():
            yield from synced_files(path, root.resolve())
        else:
            yield str(path.relative_to(root.resolve()))


def owner_of(path: str, codeowners: str) -> str:
    """The owner in the last line that matches. The patterns are `*`, `/folder/` and `/file`."""
    owner = "nobody"
    for line in codeowners.splitlines():
        if line and not line.startswith("#"):
            pattern, owners = line.split(maxsplit=1)
            prefix = pattern.removeprefix("/")
            if (
                pattern == "*"
                or path == prefix
                or (prefix.endswith("/") and path.startswith(prefix))
            ):
                owner = owners
    return owner


def applications_have_known_projects_and_repositories(tree: Tree) -> Iterator[str]:
    """No project, Application or repository is new unless somebody adds it to these rules."""
    manifests = tree.render(".")
    projects = of_kind(manifests, "AppProject")
    for name in {project["metadata"]["name"] for project in projects} ^ PROJECTS:
        yield f"{name}: is no known project, or is missing"
    for project in projects:
        for repository in {*project["spec"]["sourceRepos"]} - REPOSITORIES:
            yield f"{project['metadata']['name']}: allows the repository {repository}"
    if of_kind(manifests, "Application"):
        yield "an Application is not from an ApplicationSet"
    for application_set in of_kind(manifests, "ApplicationSet"):
        name = application_set["metadata"]["name"]
        spec = tree.template(name, "prod")["spec"]
        if spec["project"] not in PROJECTS - {"default"}:
            yield f"{name}: is in the project {spec['project']}"
        if "sources" in spec or spec["source"]["repoURL"] not in REPOSITORIES:
            yield f"{name}: is from {spec.get('sources', spec['source']['repoURL'])}"


def the_root_project_allows_what_the_root_application_creates(tree: Tree) -> Iterator[str]:
    """The kinds and the namespaces that the root Application needs are allowed."""
    bootstrap = tree.text("terraform/argocd/bootstrap.tf")
    allowed = set(re.findall(r'\{ group = "([^"]*)", kind = "(\w+)" \}', bootstrap))
    (names,) = re.findall(r"for namespace in \[(.*)\]", bootstrap)
    namespaces = {None, *re.findall(r'"([^"]+)"', names)}
    for manifest in tree.render("."):
        kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
        namespace = manifest["metadata"].get("namespace")
        if kind not in allowed:
            yield f"the root project does not allow {manifest['kind']}"
        if namespace not in namespaces:
            yield f"the root project does not allow the namespace {namespace}"


def pods_run_only_released_images(tree: Tree) -> Iterator[str]:
    """The API server refuses any other image in the namespace of the service, and only there."""
    manifests = tree.render(".")
    spec = find_one(manifests, "ValidatingAdmissionPolicy", IMAGES)["spec"]
    binding = find_one(manifests, "ValidatingAdmissionPolicyBinding", IMAGES)["spec"]
    if spec["failurePolicy"] != "Fail" or binding["validationActions"] != ["Deny"]:
        yield "the policy only warns, or is not in force if it fails"
    if (binding["policyName"], binding["matchResources"]) != (
        IMAGES,
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gaming-namespace"}}},
    ):
        yield f"the policy {binding['policyName']} is for {binding['matchResources']}"
    (rule,) = spec["matchConstraints"]["resourceRules"]
    if rule["operations"] != ["CREATE", "UPDATE"]:
        yield f"the policy is for the operations {rule['operations']}"
    if rule["resources"] != ["pods", "pods/ephemeralcontainers"]:
        yield f"the policy is for {rule['resources']}"
    (condition,) = spec["matchConditions"]
    variables = {variable["name"]: variable["expression"] for variable in spec["variables"]}
    for containers in ("containers", "initContainers", "ephemeralContainers"):
        if not re.search(rf"spec\.\??{containers}\b", variables["images"]):
            yield f"the policy does not read the images of {containers}"
        if not re.search(rf"object\.spec\.\??{containers} != old", condition["expression"]):
            yield f"the policy does not look at a change of {containers}"
    repository = (
        variables["repository"].strip("'").replace("fact:ecr_registry", FACTS["ecr_registry"])
    )
    refuses_all_others = (
        "variables.images.filter(image, !image.startsWith(variables.repository) || !image"
        ".substring(size(variables.repository)).matches('"
    )
    if not variables["refused"].startswith(refuses_all_others):
        yield f"the policy refuses only {variables['refused']}"
    decisions = [validation["expression"] for validation in spec["validations"]]
    if decisions != ["size(variables.refused) == 0"]:
        yield f"the policy decides by {decisions}"
    (pattern,) = re.findall(r"matches\('(.*)'\)", variables["refused"])
    if not pattern.startswith("^") or not pattern.endswith("$"):
        yield f"the policy accepts a tag that only contains {pattern}"
    for name, template in pod_templates(tree.application("prod")):
        for container in template["spec"]["containers"]:
            image = container["image"]
            tag = image.removeprefix(repository)
            if tag == image or not re.fullmatch(pattern, tag):
                yield f"{name}: the policy refuses {image}"


RULES: tuple[Rule, ...] = (
    the_platform_team_owns_what_has_privileges,
    applications_have_known_projects_and_repositories,
    the_root_project_allows_what_the_root_application_creates,
    pods_run_only_released_images,
)
