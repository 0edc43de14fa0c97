"""Rules for everything that Terraform creates. Each rule yields a message for every violation."""

import json
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

from game_api.observability.metrics import INSTRUMENTS, NAMESPACE
from tests.terraform.configurations import Outcome, Resource

Rule = Callable[[Outcome], Iterator[str]]

ALLOWED_ON_ANY_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
    "ecr:GetAuthorizationToken",
    "logs:DescribeLogGroups",
}
"""The actions that our policies may allow on `*`, because they list things, or support no other."""

READ_ONLY = "ReadOnlyAccess"
"""The managed policy of the role that plans."""

GITHUB = "token.actions.githubusercontent.com"

GITHUB_SUBJECT = r"repo:([\w.-]+@\d+/[\w.-]+@\d+|[\w.-]+/[\w.-]+):environment:[a-z-]+"
"""The `sub` of one environment of one repository, with and without their ids."""

CONTROLLER_POLICY = 'aws_iam_role_policy.this["aws-load-balancer-controller/load-balancers"]'
"""The only policy that is not ours. The AWS Load Balancer Controller project publishes it."""


def resources_of_type(outcome: Outcome, kind: str) -> list[Resource]:
    return [resource for resource in outcome.resources if resource.type == kind]


def policy_documents(outcome: Outcome) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address and the document of every policy."""
    for resource in outcome.resources:
        for name in ("policy", "policy_document", "assume_role_policy"):
            text = resource.values.get(name)
            if text and "Statement" in text:
                yield f"{resource.address}.{name}", json.loads(text)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def policies_have_no_wildcards(outcome: Outcome) -> Iterator[str]:
    """No action contains `*`. The resource is `*` only where AWS supports nothing else."""
    for address, document in policy_documents(outcome):
        for statement in document["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            for action in as_list(statement["Action"]):
                if "*" in action:
                    yield f"{address} allows {action}"
                ours = not address.startswith((CONTROLLER_POLICY, "aws_kms_key."))
                any_resource = "*" in as_list(statement.get("Resource", []))
                if ours and any_resource and action not in ALLOWED_ON_ANY_RESOURCE:
                    yield f"{address} allows {action} on every resource"


def roles_trust_only_known_principals(outcome: Outcome) -> Iterator[str]:
    """A role trusts one AWS service in this account, this cluster's pods, or one job of GitHub."""
    for resource in resources_of_type(outcome, "aws_iam_role"):
        (statement,) = json.loads(resource.values["assume_role_policy"])["Statement"]
        principal, conditions = statement["Principal"], statement.get("Condition", {})
        equals = conditions.get("StringEquals", {})
        if "Federated" in principal:
            subject = equals.get(f"{GITHUB}:sub", "")
            purpose = resource.values["name"].rpartition("-")[2]
            known = purpose in ("plan", "promote", "release")
            if not re.fullmatch(GITHUB_SUBJECT, subject) or not (
                known and subject.endswith(purpose)
            ):
                yield f"{resource.address} trusts {subject or 'all of GitHub'}"
            if equals.get(f"{GITHUB}:aud") != "sts.amazonaws.com":
                yield f"{resource.address} trusts tokens for any audience"
            if conditions.keys() != {"StringEquals"}:
                yield f"{resource.address} trusts what {set(conditions)} match"
            continue
        service = principal.get("Service")
        if service == "pods.eks.amazonaws.com":
            arn = conditions.get("ArnEquals", {}).get("aws:SourceArn", "")
            if not arn.endswith(":cluster/game-session-cluster"):
                yield f"{resource.address} trusts pods of any cluster"
        if service != "ec2.amazonaws.com" and not equals.get("aws:SourceAccount"):
            yield f"{resource.address} trusts {service} on behalf of any account"


def the_role_that_plans_changes_nothing(outcome: Outcome) -> Iterator[str]:
    """It may read what AWS calls read-only, less the data of players; it allows nothing itself."""
    managed = {
        attachment.values["policy_arn"].split("/")[-1]
        for attachment in resources_of_type(outcome, "aws_iam_role_policy_attachment")
        if '["plan/' in attachment.address
    }
    if managed != {READ_ONLY}:
        yield f"the role that plans has the policies {sorted(managed)}"
    denied: set[str] = set()
    for policy in resources_of_type(outcome, "aws_iam_role_policy"):
        if '["plan/' in policy.address:
            for statement in json.loads(policy.values["policy"])["Statement"]:
                if statement["Effect"] != "Deny":
                    yield f"the role that plans is allowed {statement['Action']}"
                denied |= set(as_list(statement["Action"]))
    for action in {"s3:GetObject", "logs:StartQuery", "cognito-idp:ListUsers"} - denied:
        yield f"the role that plans may use {action}"


def the_autoscaler_changes_only_its_own_group(outcome: Outcome) -> Iterator[str]:
    """It may change only groups with the tag that EKS gives to those of this cluster."""
    tag = "aws:ResourceTag/k8s.io/cluster-autoscaler/game-session-cluster"
    for policy in resources_of_type(outcome, "aws_iam_role_policy"):
        if '["cluster-autoscaler/' in policy.address:
            for statement in json.loads(policy.values["policy"])["Statement"]:
                changes = [a for a in as_list(statement["Action"]) if not is_read(a)]
                condition = statement.get("Condition", {}).get("StringEquals", {})
                if changes and condition != {tag: "owned"}:
                    yield f"the autoscaler may use {changes} on other groups"


def is_read(action: str) -> bool:
    return action.split(":")[1].startswith(("Describe", "Get", "List"))


def pods_have_only_the_permissions_they_need(outcome: Outcome) -> Iterator[str]:
    """The service may write its logs and read its secret. The index job may read the secret."""
    allowed = permissions_of_pods(outcome)
    service = allowed.get("game-api", set())
    index_job = allowed.get("game-api-create-indexes", set())
    secret = outcome.outputs["facts"]["documentdb_secret_arn"]
    read_secret = ("secretsmanager:GetSecretValue", secret)
    if index_job != {read_secret}:
        yield f"the index job may {index_job}"
    if read_secret not in service:
        yield "the service cannot read its password"
    other_actions = {action for action, resource in service if resource != secret}
    if other_actions != {"logs:CreateLogStream", "logs:PutLogEvents"}:
        yield f"the service may {other_actions}"


def permissions_of_pods(outcome: Outcome) -> dict[str, set[tuple[str, str]]]:
    """The pairs (action, resource) that each role of the game API's pods allows."""
    allowed: dict[str, set[tuple[str, str]]] = {}
    for resource in resources_of_type(outcome, "aws_iam_role_policy"):
        role = re.search(r'"([\w-]+)/', resource.address)
        if role and role[1].startswith("game-api"):
            for statement in json.loads(resource.values["policy"])["Statement"]:
                for action in as_list(statement["Action"]):
                    allowed.setdefault(role[1], set()).add((action, statement["Resource"]))
    return allowed


def only_known_service_accounts_have_roles(outcome: Outcome) -> Iterator[str]:
    """Only the service, the index job and the two controllers get a role from EKS Pod Identity."""
    service_accounts = {
        (association.values["namespace"], association.values["service_account"])
        for association in resources_of_type(outcome, "aws_eks_pod_identity_association")
    }
    if service_accounts != {
        ("gaming-namespace", "game-api"),
        ("gaming-namespace", "game-api-create-indexes"),
        ("kube-system", "aws-load-balancer-controller"),
        ("kube-system", "cluster-autoscaler"),
    }:
        yield f"the service accounts with a role are {sorted(service_accounts)}"


def only_the_nodes_reach_the_database(outcome: Outcome) -> Iterator[str]:
    """The database accepts port 27017 from the nodes. No group admits the internet.

    Private networks reach only the Kubernetes API and the VPC endpoints, over HTTPS.
    """
    rules = resources_of_type(outcome, "aws_vpc_security_group_ingress_rule")
    groups = {
        group.values["id"]: group for group in resources_of_type(outcome, "aws_security_group")
    }
    nodes = next(key for key, group in groups.items() if group.address.endswith(".nodes"))
    (cluster,) = resources_of_type(outcome, "aws_docdb_cluster")
    to_database = [
        rule
        for rule in rules
        if rule.values["security_group_id"] in cluster.values["vpc_security_group_ids"]
    ]
    ports = [(rule.values["from_port"], rule.values["to_port"]) for rule in to_database]
    sources = [rule.values["referenced_security_group_id"] for rule in to_database]
    if ports != [(27017, 27017)] or sources != [nodes]:
        yield f"the database accepts ports {ports} from {sources}"
    for rule in rules:
        network = rule.values["cidr_ipv4"]
        known = (".cluster_api[", ".endpoints[")
        https = (rule.values["from_port"], rule.values["to_port"]) == (443, 443)
        private = network and ip_network(network).is_private and ip_network(network).prefixlen >= 8
        if network and not (private and https and any(name in rule.address for name in known)):
            yield f"{rule.address} admits {network}"
        if rule.values["cidr_ipv6"] or rule.values["prefix_list_id"]:
            yield f"{rule.address} admits IP addresses"
    for group in [*groups.values(), *resources_of_type(outcome, "aws_default_security_group")]:
        for rule in group.values.get("ingress") or []:
            if isinstance(rule, dict):
                yield f"{group.address} has inline rules"
    for kind in ("aws_security_group_rule", "aws_db_instance"):
        if resources_of_type(outcome, kind):
            yield f"this rule does not check {kind}"


def data_is_encrypted(outcome: Outcome) -> Iterator[str]:
    """Data is encrypted, keys are rotated, and logs are deleted at some time."""
    for key in resources_of_type(outcome, "aws_kms_key"):
        if not key.values["enable_key_rotation"]:
            yield f"{key.address} is not rotated"
    for group in resources_of_type(outcome, "aws_cloudwatch_log_group"):
        if not group.values["kms_key_id"] or not group.values["retention_in_days"]:
            yield f"{group.address} is not encrypted or is kept forever"
    for database in resources_of_type(outcome, "aws_docdb_cluster"):
        if not database.values["storage_encrypted"] or not database.values["kms_key_id"]:
            yield f"{database.address} is not encrypted"
    for template in resources_of_type(outcome, "aws_launch_template"):
        for device in template.values["block_device_mappings"]:
            if device["ebs"][0]["encrypted"] not in (True, "true"):
                yield f"{template.address} has volumes that are not encrypted"
    for topic in resources_of_type(outcome, "aws_sns_topic"):
        if not topic.values["kms_master_key_id"]:
            yield f"{topic.address} is not encrypted"


def image_tags_are_immutable(outcome: Outcome) -> Iterator[str]:
    """A tag always refers to the same image."""
    for repository in resources_of_type(outcome, "aws_ecr_repository"):
        if not repository.values["image_tag_mutability"].startswith("IMMUTABLE"):
            yield f"{repository.address} has mutable tags"


def replacements_create_before_they_destroy(outcome: Outcome) -> Iterator[str]:
    """What the cluster and the database run on has a prefix for a name, so that two can exist."""
    for kind, attribute in (
        ("aws_eks_node_group", "node_group_name_prefix"),
        ("aws_launch_template", "name_prefix"),
        ("aws_docdb_cluster_parameter_group", "name_prefix"),
    ):
        for resource in resources_of_type(outcome, kind):
            # If only the name is set, the prefix is computed, and the mock makes up a text.
            if not str(resource.values[attribute]).startswith("game-session-"):
                yield f"{resource.address} has a name of its own, so it is destroyed first"
    for group in resources_of_type(outcome, "aws_eks_node_group"):
        if group.values["instance_types"]:
            yield f"{group.address} is replaced when its instance type changes"


def every_resource_has_a_name_tag(outcome: Outcome) -> Iterator[str]:
    """Resources that support tags have a tag Name, in addition to the provider's default tags."""
    for resource in outcome.resources:
        if "tags" in resource.values and not (resource.values["tags"] or {}).get("Name"):
            yield f"{resource.address} has no tag Name"


def widgets(outcome: Outcome) -> list[dict[str, Any]]:
    """The widgets of the dashboard."""
    (dashboard,) = resources_of_type(outcome, "aws_cloudwatch_dashboard")
    found: list[dict[str, Any]] = json.loads(dashboard.values["dashboard_body"])["widgets"]
    return found


def the_dashboard_shows_the_metrics_of_the_service(outcome: Outcome) -> Iterator[str]:
    """The dashboard shows every metric that the service emits, and no other metric of it."""
    emitted = {instrument.name: instrument for instrument in INSTRUMENTS}
    statistics: dict[str, set[str]] = {}
    for widget in widgets(outcome):
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == NAMESPACE:
                statistics.setdefault(metric[1], set()).add(metric[-1]["stat"])
                if len(metric) > 3:
                    yield f"{metric[1]} is shown for a single {metric[2]}, not by a search"
            elif isinstance(metric[0], dict) and f"{{{NAMESPACE}," in metric[0]["expression"]:
                search = rf'{NAMESPACE},(\w+)}} MetricName="(\w+)"'
                dimension, name = re.findall(search, metric[0]["expression"])[0]
                if name not in emitted or emitted[name].dimension != dimension:
                    yield f"{name} has no dimension {dimension}"
                statistics.setdefault(name, set())
    for name in statistics.keys() ^ emitted.keys():
        yield f"{name} is {'emitted but not shown' if name in emitted else 'shown but not emitted'}"
    if statistics.get("APILatency") != {"Average", "p50", "p95", "p99"}:
        yield f"APILatency is shown with the statistics {statistics.get('APILatency')}"
    if (statistics.get("RequestCount"), statistics.get("ErrorRate")) != ({"Sum"}, {"Average"}):
        yield "RequestCount must be shown as a sum and ErrorRate as an average"


def alarms_watch_metrics_that_exist(outcome: Outcome) -> Iterator[str]:
    """An alarm on a metric of the service uses one that it emits. Every alarm notifies someone."""
    emitted = {instrument.name for instrument in INSTRUMENTS}
    for alarm in resources_of_type(outcome, "aws_cloudwatch_metric_alarm"):
        name = alarm.values["metric_name"]
        if alarm.values["namespace"] == NAMESPACE and name not in emitted:
            yield f"{alarm.address} watches {name}, which is not emitted"
        if name == "LogRecordsDropped" and alarm.values["datapoints_to_alarm"] != 1:
            yield f"{alarm.address} ignores a single loss of records"
        if not alarm.values["alarm_actions"]:
            yield f"{alarm.address} notifies nobody"


def log_tables_query_fields_that_exist(outcome: Outcome) -> Iterator[str]:
    """The log tables of the dashboard use only fields of the service's log lines."""
    for widget in widgets(outcome):
        if widget["type"] == "log":
            yield from unknown_fields(widget["properties"]["query"])


LOG_FIELDS = set(
    "timestamp level logger message request_id method path route status duration_ms bytes pod "
    "version caller exception".split()
)
"""The fields of the service's log lines, as docs/observability.md describes them."""

QUERY_KEYWORDS = set(
    "source fields filter sort stats limit by as and or in desc asc count avg latest".split()
)


def unknown_fields(query: str) -> Iterator[str]:
    """A message for each name that is neither a keyword nor a field at that point of the query."""
    fields = LOG_FIELDS
    for command in re.sub(r"'[^']*'", "", query.lower()).split("|"):
        aliases = set(re.findall(r"\bas (\w+)", command))
        for name in re.findall(r"(?<![@\w])[a-z_]+(?![\w-])", command):
            if name not in fields | QUERY_KEYWORDS | aliases:
                yield f"a log table queries {name}, which is not a field there"
        if command.strip().startswith("stats"):
            fields = aliases | set(re.findall(r"\bby (\w+)", command))


REGISTRY_RULES: tuple[Rule, ...] = (
    policies_have_no_wildcards,
    roles_trust_only_known_principals,
    data_is_encrypted,
    image_tags_are_immutable,
    every_resource_has_a_name_tag,
)
"""The rules for the registry."""

RULES: tuple[Rule, ...] = (
    policies_have_no_wildcards,
    roles_trust_only_known_principals,
    the_role_that_plans_changes_nothing,
    the_autoscaler_changes_only_its_own_group,
    pods_have_only_the_permissions_they_need,
    only_known_service_accounts_have_roles,
    only_the_nodes_reach_the_database,
    data_is_encrypted,
    replacements_create_before_they_destroy,
    every_resource_has_a_name_tag,
    the_dashboard_shows_the_metrics_of_the_service,
    alarms_watch_metrics_that_exist,
    log_tables_query_fields_that_exist,
)
