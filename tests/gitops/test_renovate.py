"""Renovate finds the pins that none of its own rules knows."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.programs import MODULES
from tests.gitops.tree import ROOT

CONFIGURATION = json.loads((ROOT / ".github/renovate.json").read_text())


def matched(patterns: list[str]) -> list[Path]:
    """The files of the repository that match a pattern of the form `/.../`."""
    folders = (
        ". .github/workflows clusters/applications terraform terraform/argocd requirements "
        "clients/python tests/clients/python"
    ).split()
    files = [file for folder in folders for file in (ROOT / folder).iterdir() if file.is_file()]
    return [
        file
        for file in files
        if any(re.search(pattern.strip("/"), str(file.relative_to(ROOT))) for pattern in patterns)
    ]


@pytest.mark.parametrize(
    "manager", CONFIGURATION["customManagers"], ids=lambda m: m.get("depNameTemplate", "image")
)
def test_a_manager_of_our_own_finds_its_pin(manager: dict[str, list[str]]) -> None:
    files = matched(manager["managerFilePatterns"])
    (pattern,) = manager["matchStrings"]
    expression = pattern.replace("(?<", "(?P<")
    found = [
        match["currentValue"] for f in files for match in re.finditer(expression, f.read_text())
    ]
    assert found and all(re.fullmatch(r"v?\d+(\.\d+)+\S*", version) for version in found)


def test_every_chart_and_every_requirement_has_a_manager() -> None:
    charts = {f for f in (ROOT / "clusters/applications").iterdir() if "chart: " in f.read_text()}
    assert charts and charts <= set(matched(CONFIGURATION["argocd"]["managerFilePatterns"]))
    requirements = {
        *(ROOT / "requirements").glob("*.txt"),
        ROOT / "tests/clients/python/clients.txt",
    }
    found = set(matched(CONFIGURATION["pip_requirements"]["managerFilePatterns"]))
    assert requirements <= found


def test_renovate_does_not_ignore_the_pins_of_the_tests() -> None:
    """The recommended presets ignore every folder `tests`."""
    assert ":ignoreModulesAndTests" in CONFIGURATION["ignorePresets"]
    assert "ignorePaths" not in CONFIGURATION


def test_only_the_programs_of_the_cluster_tests_are_updated() -> None:
    """Each of them pins what else it needs."""
    (rule,) = [
        rule
        for rule in CONFIGURATION["packageRules"]
        if rule.get("matchFileNames") == ["tests/e2e/*/go.mod"]
    ]
    assert rule["enabled"] is False
    assert set(rule["matchPackageNames"]) == {f"!{module.module}" for module in MODULES}


def test_every_manager_with_a_file_in_the_repository_is_enabled() -> None:
    files = {
        "dockerfile": "Dockerfile",
        "github-actions": ".github/workflows/*.yaml",
        "gomod": "tests/**/go.mod",
        "maven": "tests/**/pom.xml",
        "npm": "clients/*/package.json",
        "terraform": "terraform/**/*.tf",
        "pip_requirements": "requirements/*.txt",
    }
    for manager, pattern in files.items():
        assert any(ROOT.glob(pattern)) and manager in CONFIGURATION["enabledManagers"]
