"""Every deliberate mistake in a copy of terraform/ is detected by a test or a rule."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.terraform import access_rules, api_models, policies
from tests.terraform.configurations import Terraform
from tests.terraform.rules import REGISTRY_RULES, RULES

pytestmark = pytest.mark.timeout(900)  # Terraform is slow on a busy machine.


class Mistake(NamedTuple):
    """Replaces `old` with `new` in `file`. With prod's variables, a message contains `message`."""

    file: str
    old: str
    new: str
    message: str
    configuration: str = "."


MISTAKES = (
    Mistake(
        "main.tf",
        '"game-session-cluster"',
        '"game-cluster"',
        "the cluster must be named game-session-cluster",
    ),
    Mistake("eks.tf", "max_size     = 5", "max_size     = 6", "3 desired, 1 minimum, 5 maximum"),
    Mistake(
        "eks.tf",
        'resources = ["secrets"]',
        "resources = []",
        "the secrets of the cluster must be encrypted",
    ),
    Mistake("eks.tf", '"required"', '"optional"', "must require IMDSv2"),
    Mistake(
        "eks.tf",
        'enableNetworkPolicy = "true"',
        'enableNetworkPolicy = "false"',
        "network policies must be enforced",
    ),
    Mistake("docdb.tf", '"07:00-09:00"', '"01:00-03:00"', "5 days of backups taken at 07:00-09:00"),
    Mistake(
        "docdb.tf",
        'name  = "tls"\n    value = "enabled"',
        'name  = "tls"\n    value = "disabled"',
        "the database must require TLS",
    ),
    Mistake(
        "docdb.tf", "= var.protected\n", "= false\n", "production must have deletion protection"
    ),
    Mistake(
        "docdb.tf",
        "referenced_security_group_id = aws_security_group.nodes.id",
        'cidr_ipv4                    = "0.0.0.0/0"',
        "aws_vpc_security_group_ingress_rule.database admits 0.0.0.0/0",
    ),
    Mistake(
        "docdb.tf",
        "from_port                    = local.database_port",
        "from_port                    = 0",
        "the database accepts ports [(0, 27017)]",
    ),
    Mistake(
        "iam.tf",
        '["logs:CreateLogStream", "logs:PutLogEvents"]',
        '["logs:*"]',
        "allows logs:*",
    ),
    Mistake(
        "iam.tf",
        "Resource = local.database_secret_arn",
        'Resource = "*"',
        "allows secretsmanager:GetSecretValue on every resource",
    ),
    Mistake(
        "iam.tf",
        "game-api-create-indexes      = { password = local.policies.password }",
        "game-api-create-indexes = { p = local.policies.password, l = local.policies.flow_logs }",
        "the index job may",
    ),
    Mistake("iam.tf", "cluster/${local.cluster_name}", "cluster/*", "trusts pods of any cluster"),
    Mistake(
        "monitoring.tf",
        "kms_key_id        = aws_kms_key.logs.arn",
        "kms_key_id        = null",
        "is not encrypted or is kept forever",
    ),
    Mistake(
        "monitoring.tf",
        '["GameSession", "LiveSessions"]',
        '["GameSession", "ActiveSessions"]',
        "ActiveSessions is shown but not emitted",
    ),
    Mistake(
        "monitoring.tf", "duration_ms desc", "latency_ms desc", "a log table queries latency_ms"
    ),
    Mistake(
        "monitoring.tf",
        "| sort requests desc",
        "| filter logger = 'game_api.access' | sort requests desc",
        "a log table queries logger, which is not a field there",
    ),
    Mistake("main.tf", 'tags = { Name = "game-session-data" }', "", "has no tag Name"),
    Mistake(
        "cognito.tf", '= ["code"]', '= ["code", "implicit"]', "the client player may use the flows"
    ),
    Mistake(
        "cognito.tf", "generate_secret = false", "generate_secret = true", "player has a secret"
    ),
    Mistake(
        "cognito.tf",
        "ALLOW_USER_SRP_AUTH",
        "ALLOW_USER_PASSWORD_AUTH",
        "the client player may use ['ALLOW_USER_PASSWORD_AUTH'] of Cognito's API",
    ),
    Mistake(
        "cognito.tf",
        "access_token_validity  = 60",
        "access_token_validity  = 720",
        "the access tokens of the client player are valid for (720, 'minutes')",
    ),
    Mistake(
        "cognito.tf",
        "identifier}/${each.key}",
        "identifier}/admin",
        "the client server may get the scopes ['game-api/admin']",
    ),
    Mistake(
        "cognito.tf", 'feature                    = "ENABLED"', 'feature = "DISABLED"', "rotate"
    ),
    Mistake(
        "cognito.tf",
        "[for client in aws_cognito_user_pool_client.program : client.id]",
        "[]",
        "the fact jwt_audience is",
    ),
    Mistake(
        "cognito.tf",
        'var.protected ? "ACTIVE"',
        'var.protected ? "INACTIVE"',
        "production must have deletion protection",
    ),
    Mistake(
        "outputs.tf",
        "name => client.id }",
        "name => nonsensitive(client.client_secret) }",
        "an output shows the secret of the client",
    ),
    Mistake(
        "waf.tf",
        "    action {\n      block {",
        "    action {\n      count {}\n      block {",
        "the rule of the web ACL does not block",
    ),
    Mistake("waf.tf", '"Retry-After"', '"X-Wait"', "the web ACL answers with"),
    Mistake("waf.tf", '"authorization"', '"cookie"', "the log of the web ACL redacts"),
    Mistake(
        "waf.tf",
        "sampled_requests_enabled   = false",
        "sampled_requests_enabled   = true",
        "samples of rate-per-address contain tokens",
    ),
    Mistake("monitoring.tf", "requests >= 100", "requests >= 1", "goes off after few requests"),
    Mistake(
        "monitoring.tf",
        'metric = "Forbidden"',
        'metric = "Denied"',
        "watches Denied, which is not emitted",
    ),
    Mistake(
        "monitoring.tf", '"percentage_${lower(refusal.metric)}"', '"percentage"', "has the ids"
    ),
    Mistake(
        "variables.tf",
        "(var.external_issuer == null) != (var.cognito == null)",
        "var.external_issuer != null || var.cognito != null",
        "Missing expected failure",
    ),
    Mistake(
        "main.tf",
        "count = var.protected ? 1 : 0",
        "count = 0",
        "Terraform must refuse to destroy a protected environment",
    ),
    Mistake(
        "variables.tf",
        "startswith(zone, existing.region)",
        'existing.region != ""',
        "Missing expected failure",
    ),
    Mistake(
        "docdb.tf",
        "!var.db_final_snapshot",
        "!var.protected || !var.db_final_snapshot || true",
        "the final snapshot must have a name of its own",
    ),
    Mistake(
        "docdb.tf",
        'name_prefix = "${local.database}-"',
        "name = local.database",
        "aws_docdb_cluster_parameter_group.this has a name of its own",
    ),
    Mistake(
        "eks.tf",
        "  instance_type = var.node_instance_type",
        '  instance_type = "t3.small"',
        "3 desired, 1 minimum, 5 maximum",
    ),
    Mistake(
        "eks.tf",
        'ami_type               = "AL2023_x86_64_STANDARD"',
        'ami_type = "AL2023_x86_64_STANDARD"\n  instance_types = ["t3.medium"]',
        "is replaced when its instance type changes",
    ),
    Mistake(
        "eks.tf",
        "version                = aws_eks_cluster.this.version",
        'version = "1.35"',
        "the nodes must follow the version of the cluster",
    ),
    Mistake(
        "eks.tf",
        "for_each = var.cluster_api_private_cidrs",
        "for_each = toset([])",
        "the private network must reach the Kubernetes API",
    ),
    Mistake(
        "network.tf",
        "setunion([var.vpc_cidr], var.cluster_api_private_cidrs)",
        'toset(["0.0.0.0/0"])',
        "admits 0.0.0.0/0",
    ),
    Mistake(
        "iam.tf",
        ":environment:${var.environment}-plan",
        ":pull_request",
        'aws_iam_role.this["plan"] trusts repo:',
    ),
    Mistake(
        "iam.tf",
        'managed = ["ReadOnlyAccess"]',
        'managed = ["AdministratorAccess"]',
        "the role that plans has the policies ['AdministratorAccess']",
    ),
    Mistake(
        "iam.tf",
        'Condition = { StringEquals = { "aws:ResourceTag/k8s',
        'Condition = { StringLike = { "aws:ResourceTag/k8s',
        "the autoscaler may use",
    ),
    Mistake(
        "monitoring.tf", "breaching   = 1 # the service", "# the service", "ignores a single loss"
    ),
    Mistake(
        "monitoring.tf",
        'id = "search_${lower(stat)}"',
        'id = "search"',
        "the graph Nodes: CPU (%) has the ids",
    ),
    Mistake(
        "registry/main.tf",
        ":environment:${environment}",
        ":*",
        "aws_iam_role.release trusts repo:",
        "registry",
    ),
    Mistake(
        "registry/main.tf",
        'local.trust["promote"]',
        'local.trust["release"]',
        "aws_iam_role.promote trusts repo:",
        "registry",
    ),
    Mistake(
        "registry/main.tf",
        '"ecr:GetDownloadUrlForLayer"]\n        Resource = aws_ecr_repository.this.arn',
        '"ecr:PutImage"]\n        Resource = aws_ecr_repository.this.arn',
        "the role of promotions must only read",
        "registry",
    ),
    Mistake(
        "registry/main.tf",
        '"IMMUTABLE_WITH_EXCLUSION"',
        '"MUTABLE"',
        "has mutable tags",
        "registry",
    ),
    Mistake(
        "registry/main.tf",
        'tagStatus = "untagged"',
        'tagStatus = "any"',
        "a tagged image must never expire",
        "registry",
    ),
    Mistake(
        "argocd/values.tf",
        "defaultDenyIngress = true",
        "defaultDenyIngress = false",
        "network policies must protect Argo CD",
        "argocd",
    ),
    Mistake(
        "argocd/values.tf",
        '"redis-ha", "redis-ha-haproxy"]',
        '"redis-ha"]',
        "the pods of a highly available Redis must be reachable",
        "argocd",
    ),
    Mistake(
        "argocd/values.tf",
        'var.highly_available ? "hard" : "soft"',
        '"soft"',
        "replicas must run on different nodes",
        "argocd",
    ),
    Mistake(
        "argocd/values.tf",
        "        podDisruptionBudget = { maxUnavailable = 1 }\n        #",
        "        #",
        "its proxies must have a disruption budget",
        "argocd",
    ),
    Mistake(
        "argocd/values.tf",
        "splitBrainDetection = { resources = local.resources.script }",
        "splitBrainDetection = {}",
        "every container of a highly available Redis must have requests",
        "argocd",
    ),
    Mistake(
        "argocd/bootstrap.tf",
        "var.cluster_autoscaler ? ",
        "var.load_balancer_controller || true ? ",
        "without its label, a controller must not be installed",
        "argocd",
    ),
    Mistake("argocd/values.tf", "role:readonly", "role:admin", "read-only access", "argocd"),
    Mistake(
        "argocd/bootstrap.tf",
        "value = var.repository_url",
        'value = "*"',
        "the project must allow only this repository",
        "argocd",
    ),
    *(
        Mistake(f"argocd/{file}", old, new, message, "argocd")
        for file, old, new, message in (
            (
                "values.tf",
                '"controller.diff.server.side" = "true"',
                '"controller.diff.server.side" = "false"',
                "the API server must compare what git has with what runs",
            ),
            (
                "values.tf",
                '"controller.resource.health.persist" = "true"',
                '"controller.resource.health.persist" = "false"',
                "the notifications need the health of each resource",
            ),
            (
                "values.tf",
                '"60s"',
                '"180s"',
                "a commit must be seen within two minutes",
            ),
            (
                "values.tf",
                '"app.kubernetes.io/version"',
                '"version"',
                "the tree must show the version",
            ),
            (
                "autoscaler_health.lua",
                "patience = 300",
                "patience = 0",
                "an autoscaler must have five minutes to find metrics",
            ),
            (
                "bootstrap.tf",
                'base.environment != "prod"',
                'base.environment != "production"',
                "the root Application of production must have the window of the service",
            ),
            (
                "links.tf",
                '"https://$1/"',
                '"https://"',
                "the page of a repository that is read over SSH",
            ),
            (
                "notifications.tf",
                "when = local.is_deployed, oncePer = local.synced_revision",
                'when = local.is_deployed, oncePer = "app.status.sync.revision"',
                "a deployment must be reported once for the commit that was synced",
            ),
            (
                "notifications.tf",
                'triggers = ["on-deployed"]',
                'triggers = ["on-deploy"]',
                "every trigger that is subscribed to must exist",
            ),
            (
                "notifications.tf",
                'send = ["app-deployed"]',
                'send = ["deployed"]',
                "every template that a trigger sends must exist",
            ),
            (
                "notifications.tf",
                '"argocd/{{ .app.metadata.name }}"',
                '"{{ .app.metadata.name }}"',
                "promotions read the commit status",
            ),
            (
                "bootstrap.tf",
                "'${local.base.facts.ecr_registry}/game-api:'",
                "'docker.io/game-api:'",
                "pods must run only images of the registry in the facts",
            ),
            (
                "bootstrap.tf",
                'kind = "ValidatingAdmissionPolicy" }',
                'kind = "MutatingAdmissionPolicy" }',
                "cluster-wide resources that the root Application may create",
            ),
            (
                "bootstrap.tf",
                "refresh = true",
                "refresh = false",
                "retry with the newest commit",
            ),
            (
                "values.tf",
                '= "annotation"',
                '= "label"',
                "Argo CD must track resources by their annotation",
            ),
            ("values.tf", '"server.insecure" = ', '"server.insecure" = !', "over TLS"),
            ("main.tf", "= 900", "= 90", "an upgrade of Argo CD that is not ready"),
        )
    ),
    Mistake(
        "iam.tf",
        '"secretsmanager:GetSecretValue"',
        '"secretsmanager:GetSecretsValue"',
        "UNKNOWN_ACTION: Unknown action secretsmanager:GetSecretsValue",
    ),
    Mistake(
        "iam.tf",
        "}:nodegroup/$",
        "}:cluster/$",
        "RESOURCE_MISMATCH: {'action': 'eks:DescribeNodegroup'",
    ),
    Mistake(
        "iam.tf",
        'Condition = { StringEquals = { "aws:SourceAccount"',
        'Condition = { StringEqual = { "aws:SourceAccount"',
        "UNKNOWN_OPERATOR: StringEqual",
    ),
    Mistake(
        "policies/aws-load-balancer-controller.json",
        '"ec2:DescribeVpcs"',
        '"ec2:DescribeVpc"',
        "UNKNOWN_ACTION: Unknown action ec2:DescribeVpc",
    ),
    Mistake(
        "policies/key-actions.json",
        'kms:Decrypt"',
        'kms:Decypt"',
        "aws_kms_key.images.policy: UNKNOWN_ACTION: Unknown action kms:Decypt",
        "registry",
    ),
    Mistake(
        "registry/main.tf",
        '"ecr:PutImage"',
        '"ecr:PushImage"',
        "UNKNOWN_ACTION: Unknown action ecr:PushImage",
        "registry",
    ),
    Mistake(
        "eks.tf",
        '"AL2023_x86_64_STANDARD"',
        '"AL2023_x86_64"',
        "the ami_type AL2023_x86_64, which eks does not know",
    ),
    Mistake(
        "eks.tf",
        'support_type = "STANDARD"',
        'support_type = "BASIC"',
        "the upgrade_policy.support_type BASIC, which eks",
    ),
    Mistake(
        "monitoring.tf",
        'missing = "ignore"',
        'missing = "ignored"',
        "the treat_missing_data ignored, which cloudwatch does not know",
    ),
    Mistake(
        "monitoring.tf",
        '}/audit"',
        '}/audit log"',
        "the name /aws/docdb/game-session-db/audit log, which does not match",
    ),
    Mistake(
        "monitoring.tf",
        "= notification.value",
        "= -notification.value",
        "the notification.threshold -80, but the smallest value is 0",
    ),
    Mistake(
        "cognito.tf",
        "retry_grace_period_seconds = 30",
        "retry_grace_period_seconds = 90",
        "retry_grace_period_seconds 90, but the largest value is 60",
    ),
    Mistake(
        "cognito.tf",
        "scope_name        = scope.key",
        'scope_name        = "role/${scope.key}"',
        "the scope.scope_name role/admin, which does not match",
    ),
    Mistake(
        "waf.tf",
        'name = "authorization"',
        'name = ""',
        "the redacted_fields.single_header.name , but the smallest length is 1",
    ),
    Mistake(
        "registry/main.tf",
        'filter      = "sha256-*"',
        'filter      = "sha256:*"',
        "image_tag_mutability_exclusion_filter.filter sha256:*, which does not match",
        "registry",
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.message[:40])
def test_a_mistake_is_detected(tmp_path: Path, terraform: Terraform, mistake: Mistake) -> None:
    copy = terraform.copy(tmp_path)
    file = copy.root / mistake.file
    text = file.read_text()
    assert mistake.old in text, "the file does not contain the text to replace"
    file.write_text(text.replace(mistake.old, mistake.new, 1))
    # The tests of variables take longer than all others.
    only_base = mistake.configuration == "." and "Missing expected failure" not in mistake.message
    options = ["-filter=tests/base.tftest.hcl"] if only_base else []
    outcome = copy.test(mistake.configuration, "prod", *options)
    messages = [outcome.diagnostics]
    common = (*policies.RULES, *api_models.RULES)
    rules = {
        ".": (*RULES, *access_rules.RULES, *common),
        "registry": (*REGISTRY_RULES, *common),
    }
    if outcome.resources:
        for rule in rules.get(mistake.configuration, ()):
            messages += rule(outcome)
    assert mistake.message in "\n".join(messages), messages
