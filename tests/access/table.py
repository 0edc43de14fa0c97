"""Writes the table of permissions into docs/security.md.

`python -m tests.access.table` replaces what is between the markers by the current table.
"""

from pathlib import Path

from game_api.access.policy import table

PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- permissions -->", "<!-- /permissions -->"


def with_table(page: str) -> str:
    """The text of the page with the current table. Raises ValueError without both markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no section between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    PAGE.write_text(with_table(PAGE.read_text()))


if __name__ == "__main__":
    main()
