"""The rules hold for the repository, and each of them notices when one does not."""

import pytest

from tests.gitops import delivery_rules, rules
from tests.gitops.rules import Rule
from tests.gitops.tree import Tree

RULES = (*rules.RULES, *delivery_rules.RULES)


@pytest.fixture(scope="session")
def tree() -> Tree:
    return Tree()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_holds(tree: Tree, rule: Rule) -> None:
    assert list(rule(tree)) == []
