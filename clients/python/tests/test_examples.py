"""The example and the code of the README run on a real service."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def output(script: Path, url: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", script],
        env={**os.environ, "GAME_API_URL": url},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_lobby_example_runs(url: str) -> None:
    printed = output(ROOT / "examples/lobby.py", url)
    assert "cleo could not join: session_full" in printed
    assert "the match ended at" in printed


def test_the_code_of_the_readme_runs(
    url: str, token: str | None, word: str, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) >= 5
    code = "\n".join(blocks).replace("http://127.0.0.1:8000", url)
    if token:
        code = code.replace(f'"{url}")', f'"{url}", token="{token}")')
    script = tmp_path / "readme.py"
    # The service keeps the usernames of earlier runs.
    script.write_text(re.sub(r'username="(\w+)"', rf'username="\1-{word}"', code))
    output(script, url)
