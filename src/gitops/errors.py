"""The one error of these commands."""


class Refused(Exception):
    """Nothing was changed; the text says why, to the person who gave the command."""
