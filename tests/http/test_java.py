"""The HTTP client of the JDK, whose requests offer HTTP/2."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.service import Service

FLOW = Path(__file__).with_name("Flow.java")


def test_a_java_client_joins_a_session_with_a_team(service: Service) -> None:
    java = shutil.which("java")
    if java is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("java is missing: apt-get install default-jdk-headless")
    result = subprocess.run([java, FLOW, service.address], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    session = json.loads(result.stdout)
    assert [(m["player_id"], m["team"]) for m in session["members"]] == [("duke", "red")]
