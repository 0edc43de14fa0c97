"""Each rule reports the deliberate mistakes that these tests make in a copy of the repository."""

from pathlib import Path

import pytest

from tests.gitops import (
    access_mistakes,
    display_mistakes,
    platform_mistakes,
    privilege_mistakes,
    workflow_mistakes,
)
from tests.gitops.mistakes import APPLICATION_SET, MISTAKES, Mistake
from tests.gitops.tree import Tree


@pytest.mark.parametrize(
    "mistake",
    (
        *MISTAKES,
        *access_mistakes.MISTAKES,
        *display_mistakes.MISTAKES,
        *platform_mistakes.MISTAKES,
        *privilege_mistakes.MISTAKES,
        *workflow_mistakes.MISTAKES,
    ),
    ids=lambda mistake: f"{mistake.rule.__name__}-{mistake.new.strip()[:30]}",
)
def test_a_rule_reports_a_mistake(tmp_path: Path, mistake: Mistake) -> None:
    tree = Tree().copy(tmp_path)
    file = tmp_path / mistake.file
    text = file.read_text()
    assert mistake.old in text, f"{mistake.file} no longer contains the text to replace"
    file.write_text(text.replace(mistake.old, mistake.new, 1))
    violations = list(mistake.rule(tree))
    assert any(mistake.message in violation for violation in violations), violations


def test_an_unknown_fact_is_an_error(tmp_path: Path) -> None:
    tree = Tree().copy(tmp_path)
    file = tmp_path / APPLICATION_SET
    file.write_text(file.read_text().replace("annotations.hostname", "annotations.host"))
    with pytest.raises(KeyError, match="host"):
        tree.template("game-api", "dev")
