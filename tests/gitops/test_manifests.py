"""The repository follows the rules in `rules` and in the modules named `*_rules`."""

import re
import ssl
import time

import pytest

from tests.gitops import (
    access_rules,
    delivery_rules,
    display_rules,
    held_values,
    platform_rules,
    privilege_rules,
    rules,
    workflow_rules,
)
from tests.gitops.rules import Rule
from tests.gitops.tree import FACTS, ROOT, Tree

ONE_YEAR = 365 * 86400
RULES = (
    *rules.RULES,
    *access_rules.RULES,
    *delivery_rules.RULES,
    *display_rules.RULES,
    *held_values.RULES,
    *platform_rules.RULES,
    *privilege_rules.RULES,
    *workflow_rules.RULES,
)


@pytest.fixture(scope="session")
def tree() -> Tree:
    return Tree()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_follows_every_rule(tree: Tree, rule: Rule) -> None:
    assert list(rule(tree)) == []


def test_the_facts_match_the_application_sets_and_the_documentation(tree: Tree) -> None:
    documented = (ROOT / "docs/deploy.md").read_text().partition("| annotation |")[2]
    rows = documented.partition("\n\n")[0].splitlines()[2:]
    facts = {fact for row in rows for fact in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert rules.facts_read(tree) == FACTS.keys() == facts


def test_the_certificate_authorities_are_from_amazon_and_valid_for_another_year() -> None:
    bundle = ssl.create_default_context(cafile=str(ROOT / "certificates/global-bundle.pem"))
    authorities = bundle.get_ca_certs()
    assert len(authorities) > 70
    for authority in authorities:
        assert "Amazon RDS" in str(authority["subject"])
        assert ssl.cert_time_to_seconds(str(authority["notAfter"])) > time.time() + ONE_YEAR
