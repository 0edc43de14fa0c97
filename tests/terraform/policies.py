"""A rule for all policies: a linter knows the actions, resources and conditions of AWS."""

import json
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any

from tests.terraform.configurations import Outcome
from tests.terraform.rules import CONTROLLER_POLICY, GITHUB, Rule, as_list, policy_documents

IDENTITY_POLICY = "aws_iam_role_policy."
"""The address of a policy of a role. All other policies belong to a resource."""

CONTROLLER_STARS = """
acm:DescribeCertificate
cognito-idp:DescribeUserPoolClient
ec2:AuthorizeSecurityGroupIngress
ec2:CreateSecurityGroup
ec2:DeleteSecurityGroup
ec2:GetCoipPoolUsage
ec2:GetSecurityGroupsForVpc
ec2:RevokeSecurityGroupIngress
elasticloadbalancing:AddListenerCertificates
elasticloadbalancing:CreateRule
elasticloadbalancing:CreateTargetGroup
elasticloadbalancing:DeleteListener
elasticloadbalancing:DeleteRule
elasticloadbalancing:ModifyListener
elasticloadbalancing:ModifyRule
elasticloadbalancing:RemoveListenerCertificates
elasticloadbalancing:SetRulePriorities
iam:CreateServiceLinkedRole
iam:GetServerCertificate
shield:DeleteProtection
shield:DescribeProtection
waf-regional:AssociateWebACL
waf-regional:DisassociateWebACL
waf-regional:GetWebACL
waf-regional:GetWebACLForResource
wafv2:AssociateWebACL
wafv2:GetWebACL
wafv2:GetWebACLForResource
"""
"""What the AWS Load Balancer Controller may do to any resource, as its project publishes it."""

GITHUB_CONDITIONS = {
    f"UNKNOWN_CONDITION_FOR_ACTION: Unknown condition {GITHUB}:{claim} "
    "for action sts:AssumeRoleWithWebIdentity"
    for claim in ("aud", "sub")
}
"""AWS names these conditions after the identity provider, so the linter can't know them."""

KNOWN = {
    f"{CONTROLLER_POLICY}.policy": {
        *(f"RESOURCE_STAR: {action}" for action in CONTROLLER_STARS.split()),
        # Both are newer than the linter.
        "UNKNOWN_ACTION: Unknown action elasticloadbalancing:ModifyIpPools",
        "UNKNOWN_CONDITION_FOR_ACTION: Unknown condition elasticloadbalancing:CreateAction "
        "for action elasticloadbalancing:AddTags",
    },
    'aws_iam_role.this["plan"].assume_role_policy': GITHUB_CONDITIONS,
    "aws_iam_role.promote.assume_role_policy": GITHUB_CONDITIONS,
    "aws_iam_role.release.assume_role_policy": GITHUB_CONDITIONS,
    # The statement is as the documentation of CloudWatch Logs has it. The condition never holds for
    # DescribeKey, and an encryption context is a text that may be compared like an ARN.
    "aws_kms_key.logs.policy": {
        "UNKNOWN_CONDITION_FOR_ACTION: Unknown condition kms:EncryptionContext:aws:logs:arn "
        "for action kms:DescribeKey",
        "MISMATCHED_TYPE: Type mismatch: ArnLike requires a value of type Arn but given String",
    },
}
"""The findings that are accepted, by the address of the policy. All others are violations."""


@cache
def linter() -> ModuleType:
    """The module parliament.

    It finds its files with one function of pkg_resources, which setuptools no longer has.
    """
    stand_in = ModuleType("pkg_resources")
    setattr(stand_in, "resource_filename", lambda package, name: str(files(package) / name))
    original = sys.modules.get("pkg_resources")
    sys.modules["pkg_resources"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import parliament
    finally:
        del sys.modules["pkg_resources"]
        if original:
            sys.modules["pkg_resources"] = original
    module: ModuleType = parliament
    return module


def policies_pass_the_linter(outcome: Outcome) -> Iterator[str]:
    """The linter finds nothing in a policy but what is known, and still finds what is known."""
    for address, document in policy_documents(outcome):
        identity = address.startswith(IDENTITY_POLICY)
        found = findings(document if identity else as_identity_policy(document))
        if not identity:
            found = {finding for finding in found if not finding.startswith("RESOURCE_STAR")}
        known = KNOWN.get(address, set())
        for finding in sorted(found - known):
            yield f"{address}: {finding}"
        for finding in sorted(known - found):
            yield f"{address} no longer has the known finding {finding}"


def findings(document: dict[str, Any]) -> set[str]:
    """What the linter finds in a policy of a role, one text for each action that it lists."""
    found = linter().analyze_policy_string(json.dumps(document)).findings
    return {f"{finding.issue}: {detail}" for finding in found for detail in as_list(finding.detail)}


def as_identity_policy(document: dict[str, Any]) -> dict[str, Any]:
    """A policy of a resource, as one of a role that allows the same to any resource."""
    statements = [
        {"Resource": "*", **{key: value for key, value in statement.items() if key != "Principal"}}
        for statement in as_list(document["Statement"])
    ]
    return {**document, "Statement": statements}


RULES: tuple[Rule, ...] = (policies_pass_the_linter,)
