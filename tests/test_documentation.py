"""The check of the documentation detects each kind of mistake."""

import subprocess
from pathlib import Path

import pytest

from tests.documentation import mistakes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a Makefile, a folder and a page without mistakes."""
    subprocess.run(("git", "init", "--quiet"), cwd=tmp_path, check=True)
    (tmp_path / "Makefile").write_text("run test: .venv\n\techo\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("async def test_a() -> None: ...\n")
    (tmp_path / "docs" / "page.md").write_text("# A page, with `code`\n")
    (tmp_path / "README.md").write_text(
        "[page](docs/page.md#a-page-with-code) `docs/page.md` `make run` "
        "`tests/test_a.py::test_a` <https://example.org>\n\n"
        "```json\n{}\n```\n\n```sh\nmake test\n```\n"
    )
    return tmp_path


def test_a_correct_page_has_no_mistakes(root: Path) -> None:
    assert list(mistakes(root)) == []


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[x](nothing.md)", "the link nothing.md leads to no file"),
        ("[x](page.md#other)", "the link page.md#other leads to no heading"),
        ("`docs/nothing.py`", "there is no file docs/nothing.py"),
        ("| a |\n|---|\n| `docs/nothing.py` |", "there is no file docs/nothing.py"),
        ("`tests/nothing.py::test_a`", "there is no test test_a in tests/nothing.py"),
        ("`tests/test_a.py::test_b`", "there is no test test_b in tests/test_a.py"),
        ("`make fly`", "there is no target `make fly`"),
        ("```sh\nmake fly\n```", "there is no target `make fly`"),
        ("```json\n{'a'}\n```", "a code block is not valid json"),
        ("```yaml\na: b: c\n```", "a code block is not valid yaml"),
        ("```python\nif\n```", "a code block is not valid python"),
        ("```sh\nif\n```", "a code block is not valid sh"),
        ("```jsno\n{}\n```", "a code block has the unknown language 'jsno'"),
    ],
)
def test_a_mistake_is_reported_with_its_page(root: Path, text: str, mistake: str) -> None:
    (root / "docs" / "page.md").write_text(f"# A page, with `code`\n\n{text}\n")
    (found,) = mistakes(root)
    assert found.startswith("docs/page.md:") and mistake in found
