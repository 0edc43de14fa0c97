"""The error that the gitops commands raise."""


class GitOpsError(Exception):
    """The command failed and changed nothing. The message tells the user why."""
