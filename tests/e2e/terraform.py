"""What Terraform installs, evaluated from terraform/argocd: the bootstrap and Argo CD's values."""

import json
from typing import Any

from tests.e2e.paths import ROOT, RUN
from tests.e2e.processes import run

FILES = ("autoscaler_health.lua", "bootstrap.tf", "links.tf", "notifications.tf", "values.tf")
"""The files of terraform/argocd that consist of locals, and one that they read."""


def evaluate(
    expression: str, variables: dict[str, Any], facts: dict[str, str], secrets: dict[str, Any]
) -> Any:
    """The value of an expression, which may refer to the locals of FILES.

    The arguments replace the variables, the state and the secrets that terraform/argocd reads.
    """
    folder = RUN / "terraform"
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).write_text((ROOT / "terraform/argocd" / name).read_text())
    inputs = {
        "variable": {name: {"default": value} for name, value in variables.items()},
        "locals": {
            "base": {"environment": "dev", "facts": facts},
            "notification_secrets": secrets,
        },
    }
    (folder / "inputs.tf.json").write_text(json.dumps(inputs))
    output = run("terraform", f"-chdir={folder}", "console", stdin=f"jsonencode({expression})")
    return json.loads(json.loads(output))
