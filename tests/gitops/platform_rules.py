"""Rules for the Helm charts of the cluster's components. They work like the rules in `rules`."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.gitops.delivery_rules import CHILDREN
from tests.gitops.rules import KUBERNETES, Rule
from tests.gitops.tree import (
    FACTS,
    Manifest,
    Tree,
    find_one,
    matches,
    of_kind,
    pod_templates,
)

Kinds = frozenset[tuple[str, str]]

RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"

CLUSTER = "game-session-cluster"


class Chart(NamedTuple):
    """A chart, and the kinds (API group, kind) that this version creates with our values."""

    repository: str
    version: str
    cluster_kinds: Kinds
    namespace_kinds: Kinds


EVERY_CHART: Kinds = frozenset(
    {
        ("", "Service"),
        ("", "ServiceAccount"),
        ("apps", "Deployment"),
        ("policy", "PodDisruptionBudget"),
        (RBAC, "Role"),
        (RBAC, "RoleBinding"),
    }
)

CHARTS = {
    "aws-load-balancer-controller": Chart(
        "https://aws.github.io/eks-charts",
        "3.5.0",
        frozenset(
            {
                (ADMISSION, "MutatingWebhookConfiguration"),
                (ADMISSION, "ValidatingWebhookConfiguration"),
                ("apiextensions.k8s.io", "CustomResourceDefinition"),
                ("elbv2.k8s.aws", "IngressClassParams"),
                ("networking.k8s.io", "IngressClass"),
                (RBAC, "ClusterRole"),
                (RBAC, "ClusterRoleBinding"),
            }
        ),
        EVERY_CHART | {("", "Secret")},
    ),
    "cluster-autoscaler": Chart(
        "https://kubernetes.github.io/autoscaler",
        "9.59.0",
        frozenset({(RBAC, "ClusterRole"), (RBAC, "ClusterRoleBinding")}),
        EVERY_CHART,
    ),
}
"""Read from the charts' templates. Whoever changes a version reads them again."""


def charts(tree: Tree) -> Iterator[tuple[str, Manifest]]:
    """The name and the Application of every chart."""
    for application_set in of_kind(tree.render("."), "ApplicationSet"):
        name = application_set["metadata"]["name"]
        application = tree.template(name, "prod")
        if "chart" in application["spec"]["source"]:
            yield name, application


def values(tree: Tree) -> Iterator[tuple[str, Manifest]]:
    """The name and the values of every chart."""
    for name, application in charts(tree):
        yield name, application["spec"]["source"]["helm"]["valuesObject"]


def the_platform_project_allows_what_the_charts_create(tree: Tree) -> Iterator[str]:
    """The project allows the known charts, the kinds that they create, and only kube-system."""
    project = find_one(tree.render("."), "AppProject", "platform")["spec"]
    if [destination["namespace"] for destination in project["destinations"]] != ["kube-system"]:
        yield f"the project allows the destinations {project['destinations']}"
    found = set()
    for name, application in charts(tree):
        spec, source = application["spec"], application["spec"]["source"]
        found.add(name)
        known = CHARTS[name]
        if (source["repoURL"], source["chart"]) != (known.repository, name):
            yield f"{name}: is the chart {source['chart']} of {source['repoURL']}"
        if source["targetRevision"] != known.version:
            version = source["targetRevision"]
            yield f"{name}: the kinds that version {version} creates are not known"
        if (spec["project"], spec["destination"]["namespace"]) != ("platform", "kube-system"):
            yield f"{name}: is installed by {spec['project']} in {spec['destination']}"
    for name in found ^ CHARTS.keys():
        yield f"{name}: is {'not known' if name in found else 'not installed'}"
    if set(project["sourceRepos"]) != {chart.repository for chart in CHARTS.values()}:
        yield f"the project allows the repositories {project['sourceRepos']}"
    cluster = frozenset[tuple[str, str]]().union(*(c.cluster_kinds for c in CHARTS.values()))
    namespace = CHILDREN.union(*(chart.namespace_kinds for chart in CHARTS.values()))
    for scope, needed in (("cluster", cluster), ("namespace", namespace)):
        kinds = project[f"{scope}ResourceWhitelist"]
        allowed = {(kind["group"], kind["kind"]) for kind in kinds}
        for group, kind in needed ^ allowed:
            yield f"{kind} is {'not allowed' if (group, kind) in needed else 'not needed'}"


def a_label_that_terraform_sets_selects_the_cluster(tree: Tree) -> Iterator[str]:
    """A chart is installed where its label is `enabled`, and a variable decides on the label."""
    labels = dict(
        re.findall(r"var\.(\w+) \? \{ ([\w-]+) = ", tree.text("terraform/argocd/bootstrap.tf"))
    )
    for name, _ in charts(tree):
        (generator,) = find_one(tree.render("."), "ApplicationSet", name)["spec"]["generators"]
        selector = generator["clusters"]["selector"]
        if selector != {"matchLabels": {name: "enabled"}}:
            yield f"{name}: selects clusters with {selector}"
        if name not in labels.values():
            yield f"{name}: no variable of Terraform sets its label"


def components_run_with_the_role_of_their_service_account(tree: Tree) -> Iterator[str]:
    """EKS Pod Identity gives the role to the service account, so there are no keys or annotations.

    They work in the region and on the cluster that Terraform creates.
    """
    roles = re.findall(
        r'^ +([\w-]+) += "kube-system"$', tree.text("terraform/iam.tf"), re.MULTILINE
    )
    for name, chart in values(tree):
        account = chart.get("rbac", chart).get("serviceAccount", {})
        if account.get("name") not in roles:
            yield f"{name}: no role of AWS is for the service account {account.get('name')}"
        if "annotations" in account:
            yield f"{name}: the service account has annotations"
        for key in chart.keys() & {"awsAccessKeyID", "awsSecretAccessKey", "extraEnvSecrets"}:
            yield f"{name}: gets {key}"
        if chart.get("region", chart.get("awsRegion")) != FACTS["aws_region"]:
            yield f"{name}: its region is not the fact aws_region"
        cluster = chart.get("clusterName", chart.get("autoDiscovery", {}).get("clusterName"))
        if cluster != CLUSTER or f'"{CLUSTER}"' not in tree.text("terraform/main.tf"):
            yield f"{name}: works on the cluster {cluster}"


def components_survive_the_loss_of_a_node(tree: Tree) -> Iterator[str]:
    """Two replicas with a budget, with as much memory as they need, and few privileges."""
    for name, chart in values(tree):
        if chart.get("replicaCount") != 2:
            yield f"{name}: has {chart.get('replicaCount')} replicas"
        if chart.get("podDisruptionBudget") != {"maxUnavailable": 1}:
            yield f"{name}: the budget is {chart.get('podDisruptionBudget')}"
        resources = chart.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield f"{name}: reserves {resources.get('requests')}"
        if "memory" not in resources.get("limits", {}):
            yield f"{name}: has no memory limit"
        # The two charts have different names for the two levels.
        both: Manifest = chart.get("securityContext", {})
        pod: Manifest = chart.get("podSecurityContext", both)
        container: Manifest = chart.get("containerSecurityContext", both)
        if pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: the seccomp profile is not RuntimeDefault"
        if container.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: has the capabilities {container.get('capabilities')}"


def the_autoscaler_fits_the_cluster(tree: Tree) -> Iterator[str]:
    """It has the cluster's minor version, and may remove any node that its pods can leave."""
    chart = dict(values(tree))["cluster-autoscaler"]
    if not re.fullmatch(rf"v{re.escape(KUBERNETES)}\.\d+", chart["image"]["tag"]):
        yield f"the autoscaler {chart['image']['tag']} is not for Kubernetes {KUBERNETES}"
    for option in ("skip-nodes-with-local-storage", "skip-nodes-with-system-pods"):
        if chart["extraArgs"].get(option) is not False:
            yield f"the autoscaler never removes a node, because of {option}"


def only_ingresses_need_the_load_balancer_controller(tree: Tree) -> Iterator[str]:
    """Without the controller, Services and other pods start, and its certificate is kept."""
    application = dict(charts(tree))["aws-load-balancer-controller"]["spec"]
    chart = application["source"]["helm"]["valuesObject"]
    if chart.get("enableServiceMutatorWebhook") is not False:
        yield "without the controller, the cluster refuses every new Service"
    for name, template in pod_templates(tree.application("prod")):
        behind = name == "Deployment/game-api"
        if matches(chart.get("objectSelector", {}), template["metadata"]["labels"]) != behind:
            yield f"the webhook for pods selects {chart.get('objectSelector')}, as for {name}"
    kept = {(entry.get("group", ""), entry["kind"]) for entry in application["ignoreDifferences"]}
    for group, kind in {
        ("", "Secret"),
        (ADMISSION, "MutatingWebhookConfiguration"),
        (ADMISSION, "ValidatingWebhookConfiguration"),
    } - kept:
        yield f"every sync replaces the certificate in the {kind}"
    if "RespectIgnoreDifferences=true" not in application["syncPolicy"]["syncOptions"]:
        yield "every sync replaces the certificates"


RULES: tuple[Rule, ...] = (
    the_platform_project_allows_what_the_charts_create,
    a_label_that_terraform_sets_selects_the_cluster,
    components_run_with_the_role_of_their_service_account,
    components_survive_the_loss_of_a_node,
    the_autoscaler_fits_the_cluster,
    only_ingresses_need_the_load_balancer_controller,
)
