"""Each row of the table of parameters restricts a value that a configuration sets."""

from typing import Any

import pytest

from tests.terraform.api_models import (
    DOCUMENTED,
    PARAMETERS,
    Parameter,
    problems_of,
    shape_of,
    values_are_valid_for_the_api,
    values_at,
)
from tests.terraform.configurations import Outcome, Resource

pytestmark = pytest.mark.timeout(900)  # Terraform is slow on a busy machine.


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda p: f"{p.resource}.{p.attribute}")
def test_a_wrong_value_is_reported(
    base: dict[str, Outcome], registry: Outcome, parameter: Parameter
) -> None:
    for outcome in (*base.values(), registry):
        values = [
            value
            for resource in outcome.resources
            if resource.type == parameter.resource
            for value in values_at(resource.values, parameter.attribute.split("."))
        ]
        if values:
            break
    else:
        pytest.fail("no configuration sets this attribute")
    wrong = "☃" * 3000 if isinstance(values[0], str) else -1
    assert list(problems_of(values[0], parameter.service, parameter.shape)) == []
    assert list(problems_of(wrong, parameter.service, parameter.shape)) != []


def resource(**values: Any) -> Outcome:
    return Outcome(True, "", [Resource("aws_kms_alias.this", "aws_kms_alias", values)], {})


def test_an_attribute_that_is_not_there_is_reported() -> None:
    (message,) = values_are_valid_for_the_api(resource(alias="alias/a"))
    assert message == "no aws_kms_alias has the attribute name"
    assert list(values_are_valid_for_the_api(resource(name="alias/a"))) == []


def test_a_pattern_has_to_match_all_of_a_value() -> None:
    """`logs` does not anchor the pattern for the names of log groups."""
    assert not shape_of("logs", "LogGroupName").metadata["pattern"].endswith("$")
    assert list(problems_of("/game/log", "logs", "LogGroupName")) == []
    assert len(list(problems_of("/game/log group", "logs", "LogGroupName"))) == 1


def test_values_are_found_in_all_elements() -> None:
    values = {"rule": [{"name": "a"}, {"name": None}, {}, {"name": ["b", "c"]}]}
    assert list(values_at(values, ["rule", "name"])) == ["a", "b", "c"]


def test_only_shapes_without_an_enum_have_documented_values() -> None:
    """If botocore learns the values, they are no longer needed here."""
    for service, name in DOCUMENTED:
        assert not shape_of(service, name).metadata.get("enum")
