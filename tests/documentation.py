"""Checks the Markdown pages: links, code blocks, and the names of files, tests and make targets.

`python -m tests.documentation` prints one line for each mistake and exits with 1 if there are any.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
CHECKED_FENCES = {"json", "yaml", "python", "sh"}
UNCHECKED_FENCES = {"console", "csharp", "mermaid", "hcl", "ts", ""}
FILE = re.compile(r"(?:\.?[\w-]+/)+[\w.-]*\w|[\w-]+\.(?:md|toml|yaml)")
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
TARGET = re.compile(r"^([a-z0-9][a-z0-9 -]*):", re.MULTILINE)
MAKE = re.compile(r"\bmake ([a-z][a-z0-9-]*)")


def pages(root: Path) -> list[Path]:
    """The Markdown pages that git tracks or would track."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"),
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [root / name for name in listed.stdout.split() if (root / name).exists()]


def mistakes(root: Path) -> Iterator[str]:
    """One sentence for each mistake in the pages below `root`."""
    targets = set(" ".join(TARGET.findall((root / "Makefile").read_text())).split())
    for page in pages(root):
        tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text())
        for line, mistake in page_mistakes(root, page, tokens, targets):
            yield f"{page.relative_to(root)}:{line}: {mistake}"


def page_mistakes(
    root: Path, page: Path, tokens: list[Token], targets: set[str]
) -> Iterator[tuple[int, str]]:
    """The line and the description of each mistake in a page."""
    for token in tokens:
        line = token.map[0] + 1 if token.map else 1
        if token.type == "fence":
            yield from ((line, mistake) for mistake in fence_mistakes(token))
            yield from ((line, mistake) for mistake in target_mistakes(token.content, targets))
        for child in token.children or ():
            if child.type == "link_open":
                link = str(child.attrGet("href"))
                yield from ((line, mistake) for mistake in link_mistakes(page, link))
            elif child.type == "code_inline":
                yield from ((line, mistake) for mistake in file_mistakes(root, child.content))
                yield from ((line, mistake) for mistake in named_test_mistakes(root, child.content))
                yield from ((line, mistake) for mistake in target_mistakes(child.content, targets))


def fence_mistakes(fence: Token) -> Iterator[str]:
    """Mistakes in a code block, if its language can be checked."""
    language = fence.info.strip()
    if language not in CHECKED_FENCES | UNCHECKED_FENCES:
        yield f"a code block has the unknown language {language!r}"
    try:
        if language == "json":
            json.loads(fence.content)
        elif language == "yaml":
            list(yaml.safe_load_all(fence.content))
        elif language == "python":
            ast.parse(fence.content)
        elif language == "sh":
            subprocess.run(
                ("bash", "-n"), input=fence.content, text=True, capture_output=True, check=True
            )
    except (ValueError, yaml.YAMLError, SyntaxError) as error:
        yield f"a code block is not valid {language}: {error}"
    except subprocess.CalledProcessError as error:
        yield f"a code block is not valid sh: {error.stderr.strip()}"


def link_mistakes(page: Path, link: str) -> Iterator[str]:
    """A link within the repository has to lead to a file and to one of its headings."""
    if re.match(r"[a-z]+:", link):
        return
    path, _, anchor = link.partition("#")
    target = (page.parent / unquote(path)).resolve() if path else page
    if not target.exists():
        yield f"the link {link} leads to no file"
    elif anchor and target.suffix == ".md" and anchor not in anchors(target):
        yield f"the link {link} leads to no heading"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub creates for the headings of a page."""
    tokens = MarkdownIt("commonmark").parse(page.read_text())
    headings = [tokens[n + 1].content for n, t in enumerate(tokens) if t.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def file_mistakes(root: Path, code: str) -> Iterator[str]:
    """A path that begins with a folder of the repository has to exist."""
    if FILE.fullmatch(code) and (root / code.split("/")[0]).exists():
        if not (root / code).exists():
            yield f"there is no file {code}"


def named_test_mistakes(root: Path, code: str) -> Iterator[str]:
    """A test that is named by its file and its function has to exist."""
    if named := TEST.fullmatch(code):
        file, name = named.groups()
        if name not in functions(root / file):
            yield f"there is no test {name} in {file}"


@cache
def functions(file: Path) -> set[str]:
    """The names of the functions of a Python file; none if it does not exist."""
    if not file.is_file():
        return set()
    nodes = ast.parse(file.read_text()).body
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def target_mistakes(code: str, targets: set[str]) -> Iterator[str]:
    """Every make target has to exist."""
    for target in MAKE.findall(code):
        if target not in targets:
            yield f"there is no target `make {target}`"


def main() -> None:
    found = list(mistakes(ROOT))
    for mistake in found:
        print(mistake, file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
