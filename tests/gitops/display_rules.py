"""Rules for what Argo CD shows of a rollout. They work like the rules in `rules`."""

from collections.abc import Iterator

from gitops import image, overlay
from tests.gitops.rules import Rule
from tests.gitops.tree import FACTS, Tree, find_one, pod_templates

VERSION = "app.kubernetes.io/version"
LINK = "link.argocd.argoproj.io/external-link"

DOCUMENTATION = f"https://{FACTS['hostname']}/docs"
CONSOLE = f"https://{FACTS['aws_region']}.console.aws.amazon.com/cloudwatch/home"
DASHBOARD = f"{CONSOLE}?region={FACTS['aws_region']}#dashboards/dashboard/game-session-metrics"


def objects_show_the_build_that_they_run(tree: Tree) -> Iterator[str]:
    """What runs the image has its tag in a label, which no selector uses."""
    tag = image.tag_in(tree.text(image.PATH))
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for name, template in pod_templates(manifests):
            owner = find_one(manifests, *name.split("/"))
            for part, labels in (
                ("it", owner["metadata"]["labels"]),
                ("its pod", template["metadata"]["labels"]),
            ):
                if labels.get(VERSION) != tag:
                    yield f"{environment}: {name}: {part} has the version {labels.get(VERSION)}"
        for manifest in manifests:
            spec = manifest.get("spec", {})
            if VERSION in str((spec.get("selector"), spec.get("podSelector"))):
                yield f"{environment}: the {manifest['kind']} selects pods by their version"


def argocd_links_to_what_an_incident_needs(tree: Tree) -> Iterator[str]:
    """The API, the dashboard and the runbook are one click away, for the right environment."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for kind, link in (("Ingress", DOCUMENTATION), ("Deployment", DASHBOARD)):
            found = find_one(manifests, kind)["metadata"]["annotations"].get(LINK)
            if found != link:
                yield f"{environment}: the {kind} links to {found}"
        info = tree.template("game-api", environment)["spec"].get("info", [])
        if {item["name"]: item["value"] for item in info} != {
            "Environment": environment,
            "API": DOCUMENTATION,
            "Dashboard": DASHBOARD,
        }:
            yield f"{environment}: the Application shows {info}"


RULES: tuple[Rule, ...] = (
    objects_show_the_build_that_they_run,
    argocd_links_to_what_an_incident_needs,
)
