"""The layers of `src/game_api`: imports run one way, and a forbidden import is detected."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts in pyproject.toml on the sources below `root`."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            *("--no-logo", "--no-cache", ROOT / "pyproject.toml"),
        ],
        env={"PYTHONPATH": str(root / "src")},
        cwd=root,
        capture_output=True,
        text=True,
    )


def test_imports_run_one_way() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("sessions/model.py", "import fastapi", "Models and errors"),
        ("sessions/model.py", "from pymongo import errors", "Models and errors"),
        ("sessions/model.py", "from game_api.database import client", "Models and errors"),
        ("players/errors.py", "import starlette", "Models and errors"),
        ("players/store.py", "from game_api.http import problems", "Stores"),
        ("sessions/group_commit.py", "import fastapi", "Stores"),
        ("players/model.py", "from game_api.sessions import model", "Imports run one way"),
        ("seats/claims.py", "from game_api.players import model", "Imports run one way"),
        ("http/routing.py", "from game_api.players import store", "Imports run one way"),
        ("database/client.py", "from game_api.observability import logs", "Imports run one way"),
        ("values.py", "from game_api import clock", "Imports run one way"),
        ("new.py", "", "Imports run one way"),
    ],
)
def test_a_forbidden_import_is_detected(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    with open(tmp_path / "src" / "game_api" / module, "a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout
    broken = [text for text in result.stdout.splitlines() if text.endswith(" BROKEN")]
    assert any(text.startswith(contract) for text in broken), result.stdout
