"""Deliberate mistakes, each in a copy of terraform/, each noticed by a test or a rule for it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.terraform.rules import RULES
from tests.terraform.states import Terraform


class Mistake(NamedTuple):
    """In `file`, `old` becomes `new`; what is said about the state in prod holds `says`."""

    file: str
    old: str
    new: str
    says: str
    state: str = "."


MISTAKES = (
    Mistake(
        "main.tf", '"game-session-cluster"', '"game-cluster"', "the cluster is game-session-cluster"
    ),
    Mistake("eks.tf", "max_size     = 5", "max_size     = 6", "3 of 1 to 5"),
    Mistake("eks.tf", 'resources = ["secrets"]', "resources = []", "secrets are encrypted"),
    Mistake("eks.tf", '"required"', '"optional"', "nodes answer IMDSv2 alone"),
    Mistake("eks.tf", 'enableNetworkPolicy = "true"', 'enableNetworkPolicy = "false"', "enforced"),
    Mistake("docdb.tf", '"07:00-09:00"', '"01:00-03:00"', "backed up for 5 days at 07:00-09:00"),
    Mistake(
        "docdb.tf",
        'name  = "tls"\n    value = "enabled"',
        'name  = "tls"\n    value = "disabled"',
        "TLS alone",
    ),
    Mistake("docdb.tf", "= var.protected\n", "= false\n", "production is protected"),
    Mistake(
        "docdb.tf",
        "referenced_security_group_id = aws_security_group.nodes.id",
        'cidr_ipv4                    = "0.0.0.0/0"',
        "aws_vpc_security_group_ingress_rule.database lets in addresses",
    ),
    Mistake(
        "docdb.tf",
        "from_port                    = local.database_port",
        "from_port                    = 0",
        "the database is reached by [(0, 27017)]",
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
        "allows secretsmanager:GetSecretValue on everything",
    ),
    Mistake(
        "iam.tf",
        "policies = { password = local.policies.password }",
        "policies = { password = local.policies.password, logs = local.policies.service_logs }",
        "the index job may",
    ),
    Mistake("iam.tf", "cluster/${local.cluster_name}", "cluster/*", "trusts pods of any cluster"),
    Mistake(
        "monitoring.tf",
        "kms_key_id        = aws_kms_key.logs.arn",
        "kms_key_id        = null",
        "is kept in the clear",
    ),
    Mistake(
        "monitoring.tf",
        '["GameSession", "LiveSessions"]',
        '["GameSession", "ActiveSessions"]',
        "ActiveSessions is shown, and not emitted",
    ),
    Mistake("monitoring.tf", "duration_ms desc", "latency_ms desc", "a table asks for latency_ms"),
    Mistake(
        "monitoring.tf",
        "| sort requests desc",
        "| filter logger = 'game_api.access' | sort requests desc",
        "a table asks for logger, which is not there",
    ),
    Mistake("main.tf", 'tags = { Name = "game-session-data" }', "", "has no tag Name"),
    Mistake("argocd/values.tf", "role:readonly", "role:admin", "may only look", "argocd"),
    Mistake(
        "argocd/bootstrap.tf",
        "value = var.repository_url",
        'value = "*"',
        "allows this repository alone",
        "argocd",
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.says[:40])
def test_a_mistake_is_noticed(tmp_path: Path, terraform: Terraform, mistake: Mistake) -> None:
    wrong = terraform.copy(tmp_path)
    file = wrong.root / mistake.file
    text = file.read_text()
    assert mistake.old in text, "the mistake can't be made any more"
    file.write_text(text.replace(mistake.old, mistake.new, 1))
    outcome = wrong.test(mistake.state, "prod")
    said = [outcome.text]
    if mistake.state == "." and outcome.resources:
        said += [sentence for rule in RULES for sentence in rule(outcome)]
    assert mistake.says in "\n".join(said), said
