"""What a command that deploys has done."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """A text for the user; and the branch that was pushed, if it has to be merged into `base`."""

    text: str
    branch: str = ""
    base: str = ""
