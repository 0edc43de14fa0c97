"""The error that the gitops commands raise."""


class GitOpsError(Exception):
    """The command failed and deployed nothing. The message tells the user why."""
