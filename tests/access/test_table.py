"""The table of permissions in docs/security.md."""

import pytest

from game_api.access.policy import OPEN, PERMISSIONS
from tests.access.table import BEGIN, END, PAGE, with_table


def test_the_documented_permissions_are_current() -> None:
    page = PAGE.read_text()
    assert page == with_table(page), "run `make permissions`"


def test_every_operation_that_needs_a_token_has_a_row() -> None:
    written = with_table(f"before\n{BEGIN}\nan old table\n{END}\nafter\n")
    assert written.startswith("before\n") and written.endswith("\nafter\n")
    assert "an old table" not in written
    for operation, permission in PERMISSIONS.items():
        assert (f"\n| `{operation}` | " in written) == (permission is not OPEN)


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_both_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no section"):
        with_table(page)
