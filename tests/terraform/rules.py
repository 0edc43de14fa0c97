"""What holds for everything that Terraform makes: each rule yields a sentence for every breach."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from game_api.metrics import INSTRUMENTS, NAMESPACE
from tests.terraform.states import Outcome, Resource

Rule = Callable[[Outcome], Iterator[str]]

ANY_RESOURCE = {
    "ecr:GetAuthorizationToken": "AWS knows no resource for it",
}
"""Actions of ours that may be allowed on `*`, and why."""

PUBLISHED = 'aws_iam_role_policy.this["aws-load-balancer-controller/load-balancers"]'
"""The one policy that is not ours but the controller's, as its project publishes it."""


def of_type(outcome: Outcome, kind: str) -> list[Resource]:
    return [resource for resource in outcome.resources if resource.type == kind]


def policies(outcome: Outcome) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy that allows something: its resource's address and its document."""
    for resource in outcome.resources:
        for name in ("policy", "assume_role_policy"):
            text = resource.values.get(name)
            if text and "Statement" in text:
                yield f"{resource.address}.{name}", json.loads(text)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def no_policy_allows_everything(outcome: Outcome) -> Iterator[str]:
    """No `*` among actions; `*` as the resource only where AWS knows no other."""
    for address, document in policies(outcome):
        for statement in document["Statement"]:
            for action in listed(statement["Action"]):
                if "*" in action:
                    yield f"{address} allows {action}"
                ours = not address.startswith((PUBLISHED, "aws_kms_key."))
                anything = "*" in listed(statement.get("Resource", []))
                if ours and anything and action not in ANY_RESOURCE:
                    yield f"{address} allows {action} on everything"


def no_role_is_anybodys(outcome: Outcome) -> Iterator[str]:
    """A role is for one service of AWS in this account, for this cluster's pods, or for GitHub."""
    for resource in of_type(outcome, "aws_iam_role"):
        (statement,) = json.loads(resource.values["assume_role_policy"])["Statement"]
        principal, conditions = statement["Principal"], statement.get("Condition", {})
        equals = conditions.get("StringEquals", {})
        if "Federated" in principal:
            subject = equals.get("token.actions.githubusercontent.com:sub", "")
            if not re.fullmatch(r"repo:[\w.-]+/[\w.-]+:environment:release", subject):
                yield f"{resource.address} trusts {subject or 'all of GitHub'}"
            if equals.get("token.actions.githubusercontent.com:aud") != "sts.amazonaws.com":
                yield f"{resource.address} trusts any audience"
            continue
        service = principal.get("Service")
        if service == "pods.eks.amazonaws.com":
            arn = conditions.get("ArnEquals", {}).get("aws:SourceArn", "")
            if not arn.endswith(":cluster/game-session-cluster"):
                yield f"{resource.address} trusts pods of any cluster"
        if service != "ec2.amazonaws.com" and not equals.get("aws:SourceAccount"):
            yield f"{resource.address} trusts {service} for any account"


def a_pod_has_no_more_than_it_needs(outcome: Outcome) -> Iterator[str]:
    """The service: its log group and its secret. The index job: the secret."""
    allowed: dict[str, set[tuple[str, str]]] = {}
    for resource in of_type(outcome, "aws_iam_role_policy"):
        role = re.search(r'"([\w-]+)/', resource.address)
        if role and role[1].startswith("game-api"):
            for statement in json.loads(resource.values["policy"])["Statement"]:
                for action in listed(statement["Action"]):
                    allowed.setdefault(role[1], set()).add((action, statement["Resource"]))
    secret = outcome.outputs["facts"]["documentdb_secret_arn"]
    wanted = {"game-api-create-indexes": {("secretsmanager:GetSecretValue", secret)}}
    logs = {action for action, where in allowed.get("game-api", ()) if where != secret}
    if allowed.get("game-api-create-indexes") != wanted["game-api-create-indexes"]:
        yield f"the index job may {allowed.get('game-api-create-indexes')}"
    if logs != {"logs:CreateLogStream", "logs:PutLogEvents"}:
        yield f"the service may {logs}"
    if ("secretsmanager:GetSecretValue", secret) not in allowed.get("game-api", ()):
        yield "the service can't read its password"
    pods = {
        (pod.values["namespace"], pod.values["service_account"])
        for pod in of_type(outcome, "aws_eks_pod_identity_association")
    }
    if pods != {
        ("gaming-namespace", "game-api"),
        ("gaming-namespace", "game-api-create-indexes"),
        ("kube-system", "aws-load-balancer-controller"),
    }:
        yield f"roles are for the pods {sorted(pods)}"


def only_the_nodes_reach_the_database(outcome: Outcome) -> Iterator[str]:
    """By port 27017, and nothing lets in the internet."""
    rules = of_type(outcome, "aws_vpc_security_group_ingress_rule")
    groups = {group.values["id"]: group for group in of_type(outcome, "aws_security_group")}
    nodes = next(key for key, group in groups.items() if group.address.endswith(".nodes"))
    (cluster,) = of_type(outcome, "aws_docdb_cluster")
    to_database = [
        rule
        for rule in rules
        if rule.values["security_group_id"] in cluster.values["vpc_security_group_ids"]
    ]
    ports = [(rule.values["from_port"], rule.values["to_port"]) for rule in to_database]
    sources = [rule.values["referenced_security_group_id"] for rule in to_database]
    if ports != [(27017, 27017)] or sources != [nodes]:
        yield f"the database is reached by {ports} from {sources}"
    for rule in rules:
        if rule.values["cidr_ipv4"] or rule.values["cidr_ipv6"] or rule.values["prefix_list_id"]:
            yield f"{rule.address} lets in addresses"
    for group in [*groups.values(), *of_type(outcome, "aws_default_security_group")]:
        for rule in group.values.get("ingress") or []:
            if isinstance(rule, dict):
                yield f"{group.address} has rules of its own"
    for kind in ("aws_security_group_rule", "aws_db_instance"):
        if of_type(outcome, kind):
            yield f"{kind}: not looked at by this rule"


def everything_is_encrypted(outcome: Outcome) -> Iterator[str]:
    """By keys of ours, which are rotated."""
    for key in of_type(outcome, "aws_kms_key"):
        if not key.values["enable_key_rotation"]:
            yield f"{key.address} is not rotated"
    for group in of_type(outcome, "aws_cloudwatch_log_group"):
        if not group.values["kms_key_id"] or not group.values["retention_in_days"]:
            yield f"{group.address} is kept in the clear, or for ever"
    for database in of_type(outcome, "aws_docdb_cluster"):
        if not database.values["storage_encrypted"] or not database.values["kms_key_id"]:
            yield f"{database.address} is not encrypted"
    for template in of_type(outcome, "aws_launch_template"):
        for device in template.values["block_device_mappings"]:
            if device["ebs"][0]["encrypted"] not in (True, "true"):
                yield f"{template.address} has volumes in the clear"
    for topic in of_type(outcome, "aws_sns_topic"):
        if not topic.values["kms_master_key_id"]:
            yield f"{topic.address} is not encrypted"
    for repository in of_type(outcome, "aws_ecr_repository"):
        if not repository.values["image_tag_mutability"].startswith("IMMUTABLE"):
            yield f"{repository.address} lets tags change"


def everything_has_a_name(outcome: Outcome) -> Iterator[str]:
    """As a tag, besides those that the provider puts on everything."""
    for resource in outcome.resources:
        if "tags" in resource.values and not (resource.values["tags"] or {}).get("Name"):
            yield f"{resource.address} has no tag Name"


def the_dashboard_shows_what_the_service_emits(outcome: Outcome) -> Iterator[str]:
    """Every metric of the service's, and none that it has not; log fields that its lines have."""
    (dashboard,) = of_type(outcome, "aws_cloudwatch_dashboard")
    widgets = json.loads(dashboard.values["dashboard_body"])["widgets"]
    known = {instrument.name: instrument for instrument in INSTRUMENTS}
    shown: dict[str, set[str]] = {}
    for widget in widgets:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == NAMESPACE:
                shown.setdefault(metric[1], set()).add(metric[-1]["stat"])
                if len(metric) > 3:
                    yield f"{metric[1]} is shown by {metric[2]}, which nothing searches for"
            elif isinstance(metric[0], dict):
                search = metric[0]["expression"]
                if f"{{{NAMESPACE}," in search:
                    dimension, name = re.findall(r'GameSession,(\w+)} MetricName="(\w+)"', search)[
                        0
                    ]
                    if name not in known or known[name].dimension != dimension:
                        yield f"{name} has no dimension {dimension}"
                    shown.setdefault(name, set())
    for name in shown.keys() ^ known.keys():
        yield f"{name} is {'emitted, and not shown' if name in known else 'shown, and not emitted'}"
    if shown.get("APILatency") != {"Average", "p50", "p95", "p99"}:
        yield f"APILatency is shown as {shown.get('APILatency')}"
    if (shown.get("RequestCount"), shown.get("ErrorRate")) != ({"Sum"}, {"Average"}):
        yield "requests are shown as sums, errors as averages"
    for alarm in of_type(outcome, "aws_cloudwatch_metric_alarm"):
        if alarm.values["namespace"] == NAMESPACE and alarm.values["metric_name"] not in known:
            yield f"{alarm.address} waits for {alarm.values['metric_name']}"
        if not alarm.values["alarm_actions"]:
            yield f"{alarm.address} tells nobody"
    for widget in widgets:
        if widget["type"] == "log":
            yield from unknown_fields(widget["properties"]["query"])


FIELDS = set(
    "timestamp level logger message request_id method path route status duration_ms bytes pod "
    "version caller exception".split()
)
"""The fields of the service's lines; docs/observability.md and the tests of its logs have them."""

WORDS = set(
    "source fields filter sort stats limit by as and or in desc asc count avg latest".split()
)


def unknown_fields(query: str) -> Iterator[str]:
    """Names in a query that are neither its language nor fields that there are at that point."""
    known = FIELDS
    for command in re.sub(r"'[^']*'", "", query.lower()).split("|"):
        named = set(re.findall(r"\bas (\w+)", command))
        for name in re.findall(r"(?<![@\w])[a-z_]+(?![\w-])", command):
            if name not in known | WORDS | named:
                yield f"a table asks for {name}, which is not there"
        if command.strip().startswith("stats"):
            known = named | set(re.findall(r"\bby (\w+)", command))


RULES: tuple[Rule, ...] = (
    no_policy_allows_everything,
    no_role_is_anybodys,
    a_pod_has_no_more_than_it_needs,
    only_the_nodes_reach_the_database,
    everything_is_encrypted,
    everything_has_a_name,
    the_dashboard_shows_what_the_service_emits,
)
