"""Rules that the AWS API itself sets, which Terraform finds out only when it applies.

The models of the API in botocore describe the values that each parameter may have.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from botocore.session import Session

from tests.terraform.configurations import Outcome
from tests.terraform.rules import Rule, resources_of_type


class Parameter(NamedTuple):
    """Each value of an attribute is sent to a service as a parameter of this shape."""

    resource: str
    attribute: str
    """The names from the resource down to the value, with dots."""
    service: str
    shape: str


ALARM = "aws_cloudwatch_metric_alarm"
BUDGET = "aws_budgets_budget"
CLIENT = "aws_cognito_user_pool_client"
POOL = "aws_cognito_user_pool"
CLUSTER = "aws_eks_cluster"
NODES = "aws_eks_node_group"
TEMPLATE = "aws_launch_template"
IMAGES = "aws_ecr_repository"
WEB_ACL = "aws_wafv2_web_acl"
WEB_ACL_LOG = "aws_wafv2_web_acl_logging_configuration"

PARAMETERS = (
    Parameter(ALARM, "alarm_name", "cloudwatch", "AlarmName"),
    Parameter(ALARM, "alarm_description", "cloudwatch", "AlarmDescription"),
    Parameter(ALARM, "comparison_operator", "cloudwatch", "ComparisonOperator"),
    Parameter(ALARM, "evaluation_periods", "cloudwatch", "EvaluationPeriods"),
    Parameter(ALARM, "datapoints_to_alarm", "cloudwatch", "DatapointsToAlarm"),
    Parameter(ALARM, "namespace", "cloudwatch", "Namespace"),
    Parameter(ALARM, "statistic", "cloudwatch", "Statistic"),
    Parameter(ALARM, "treat_missing_data", "cloudwatch", "TreatMissingData"),
    Parameter(ALARM, "metric_query.expression", "cloudwatch", "MetricExpression"),
    Parameter(ALARM, "metric_query.metric.namespace", "cloudwatch", "Namespace"),
    Parameter(BUDGET, "budget_type", "budgets", "BudgetType"),
    Parameter(BUDGET, "limit_amount", "budgets", "NumericValue"),
    Parameter(BUDGET, "time_unit", "budgets", "TimeUnit"),
    Parameter(BUDGET, "notification.comparison_operator", "budgets", "ComparisonOperator"),
    Parameter(BUDGET, "notification.notification_type", "budgets", "NotificationType"),
    Parameter(BUDGET, "notification.threshold", "budgets", "NotificationThreshold"),
    Parameter(BUDGET, "notification.threshold_type", "budgets", "ThresholdType"),
    Parameter("aws_cloudwatch_log_group", "name", "logs", "LogGroupName"),
    Parameter("aws_cloudwatch_log_group", "retention_in_days", "logs", "Days"),
    Parameter("aws_cognito_resource_server", "identifier", "cognito-idp", "ScopeType"),
    Parameter(
        "aws_cognito_resource_server",
        "scope.scope_name",
        "cognito-idp",
        "ResourceServerScopeNameType",
    ),
    Parameter("aws_cognito_user_pool_domain", "domain", "cognito-idp", "DomainType"),
    Parameter(CLIENT, "access_token_validity", "cognito-idp", "AccessTokenValidityType"),
    Parameter(CLIENT, "allowed_oauth_flows", "cognito-idp", "OAuthFlowType"),
    Parameter(CLIENT, "explicit_auth_flows", "cognito-idp", "ExplicitAuthFlowsType"),
    Parameter(CLIENT, "name", "cognito-idp", "ClientNameType"),
    Parameter(CLIENT, "token_validity_units.access_token", "cognito-idp", "TimeUnitsType"),
    Parameter(
        CLIENT,
        "refresh_token_rotation.retry_grace_period_seconds",
        "cognito-idp",
        "RetryGracePeriodSecondsType",
    ),
    Parameter(POOL, "deletion_protection", "cognito-idp", "DeletionProtectionType"),
    Parameter(POOL, "mfa_configuration", "cognito-idp", "UserPoolMfaType"),
    Parameter(POOL, "name", "cognito-idp", "UserPoolNameType"),
    Parameter(POOL, "password_policy.minimum_length", "cognito-idp", "PasswordPolicyMinLengthType"),
    Parameter(POOL, "user_pool_tier", "cognito-idp", "UserPoolTierType"),
    Parameter(IMAGES, "encryption_configuration.encryption_type", "ecr", "EncryptionType"),
    Parameter(IMAGES, "image_tag_mutability", "ecr", "ImageTagMutability"),
    Parameter(
        IMAGES,
        "image_tag_mutability_exclusion_filter.filter",
        "ecr",
        "ImageTagMutabilityExclusionFilterValue",
    ),
    Parameter(IMAGES, "name", "ecr", "RepositoryName"),
    Parameter("aws_eks_access_policy_association", "access_scope.type", "eks", "AccessScopeType"),
    Parameter("aws_eks_addon", "resolve_conflicts_on_update", "eks", "ResolveConflicts"),
    Parameter(CLUSTER, "access_config.authentication_mode", "eks", "AuthenticationMode"),
    Parameter(CLUSTER, "enabled_cluster_log_types", "eks", "LogType"),
    Parameter(CLUSTER, "name", "eks", "ClusterName"),
    Parameter(CLUSTER, "upgrade_policy.support_type", "eks", "SupportType"),
    Parameter(NODES, "ami_type", "eks", "AMITypes"),
    Parameter(NODES, "scaling_config.max_size", "eks", "Capacity"),
    Parameter(NODES, "scaling_config.min_size", "eks", "ZeroCapacity"),
    Parameter("aws_flow_log", "traffic_type", "ec2", "TrafficType"),
    Parameter("aws_iam_role", "name", "iam", "roleNameType"),
    Parameter("aws_iam_role_policy", "name", "iam", "policyNameType"),
    Parameter("aws_kms_alias", "name", "kms", "AliasNameType"),
    Parameter("aws_kms_key", "deletion_window_in_days", "kms", "PendingWindowInDaysType"),
    Parameter(TEMPLATE, "block_device_mappings.ebs.volume_type", "ec2", "VolumeType"),
    Parameter(TEMPLATE, "instance_type", "ec2", "InstanceType"),
    Parameter(TEMPLATE, "metadata_options.http_tokens", "ec2", "LaunchTemplateHttpTokensState"),
    Parameter(TEMPLATE, "tag_specifications.resource_type", "ec2", "ResourceType"),
    Parameter("aws_vpc_endpoint", "vpc_endpoint_type", "ec2", "VpcEndpointType"),
    Parameter(WEB_ACL, "custom_response_body.content_type", "wafv2", "ResponseContentType"),
    Parameter(WEB_ACL, "description", "wafv2", "EntityDescription"),
    Parameter(WEB_ACL, "name", "wafv2", "EntityName"),
    Parameter(
        WEB_ACL,
        "rule.action.block.custom_response.response_code",
        "wafv2",
        "ResponseStatusCode",
    ),
    Parameter(
        WEB_ACL,
        "rule.statement.rate_based_statement.aggregate_key_type",
        "wafv2",
        "RateBasedStatementAggregateKeyType",
    ),
    Parameter(WEB_ACL, "rule.statement.rate_based_statement.limit", "wafv2", "RateLimit"),
    Parameter(WEB_ACL, "rule.visibility_config.metric_name", "wafv2", "MetricName"),
    Parameter(WEB_ACL, "scope", "wafv2", "Scope"),
    Parameter(WEB_ACL_LOG, "logging_filter.default_behavior", "wafv2", "FilterBehavior"),
    Parameter(
        WEB_ACL_LOG,
        "logging_filter.filter.condition.action_condition.action",
        "wafv2",
        "ActionValue",
    ),
    Parameter(WEB_ACL_LOG, "logging_filter.filter.requirement", "wafv2", "FilterRequirement"),
    Parameter(WEB_ACL_LOG, "redacted_fields.single_header.name", "wafv2", "FieldToMatchData"),
)
"""Attributes that this configuration sets, and whose shape restricts the value."""

DOCUMENTED: dict[tuple[str, str], set[Any]] = {
    ("cloudwatch", "TreatMissingData"): {"breaching", "notBreaching", "ignore", "missing"},
    ("logs", "Days"): {
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
        *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
    },
}
"""The values of shapes for which only the text of the documentation names them."""


def values_are_valid_for_the_api(outcome: Outcome) -> Iterator[str]:
    """The values of the table above are valid for the AWS API."""
    for parameter in PARAMETERS:
        resources = resources_of_type(outcome, parameter.resource)
        found = False
        for resource in resources:
            for value in values_at(resource.values, parameter.attribute.split(".")):
                found = True
                for problem in problems_of(value, parameter.service, parameter.shape):
                    yield f"{resource.address} has the {parameter.attribute} {value}, {problem}"
        if resources and not found:
            yield f"no {parameter.resource} has the attribute {parameter.attribute}"


def values_at(value: Any, names: list[str]) -> Iterator[Any]:
    """The values below these names, in all elements of lists. Null is no value."""
    if isinstance(value, list):
        for element in value:
            yield from values_at(element, names)
    elif names and isinstance(value, dict):
        yield from values_at(value.get(names[0]), names[1:])
    elif not names and value is not None:
        yield value


@cache
def shape_of(service: str, name: str) -> Any:
    return Session().get_service_model(service).shape_for(name)


def problems_of(value: Any, service: str, name: str) -> Iterator[str]:
    """What the shape of a service does not accept in the value."""
    shape = shape_of(service, name)
    limits = shape.metadata
    if shape.type_name == "string":
        value, size, limit = str(value), float(len(str(value))), "length"
    else:
        size, limit = float(value), "value"
    known = limits.get("enum") or DOCUMENTED.get((service, name))
    if known and value not in known:
        yield f"which {service} does not know"
    # The service compares all of the text with the pattern, whether or not it is anchored.
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        yield f"which does not match {limits['pattern']}"
    if size < limits.get("min", size):
        yield f"but the smallest {limit} is {limits['min']}"
    if size > limits.get("max", size):
        yield f"but the largest {limit} is {limits['max']}"


RULES: tuple[Rule, ...] = (values_are_valid_for_the_api,)
