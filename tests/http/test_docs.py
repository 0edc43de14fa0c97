"""The page /docs: a browser shows it without access to the internet."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.service import Service

Start = Callable[..., Service]


@pytest.fixture
def chromium() -> str:
    """The path of the browser. Without one, the test is skipped, or fails in CI."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        reason = "no browser for /docs: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def test_the_docs_page_works_without_internet_access(
    chromium: str, start_service: Start, service_database: str, tmp_path: Path
) -> None:
    """The browser can't resolve any other host, and still shows every operation."""
    service = start_service(GAME_API_MONGODB_URI=service_database).wait_until_ready()
    page = httpx2.get(f"{service.address}/docs").text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page), "an asset from another host"
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update"
    result = subprocess.run(
        [
            chromium,
            *flags.split(),
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{service.address}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=90,
    )
    html = result.stdout
    assert html.count('class="opblock opblock-') == 17, html[-2000:] + result.stderr
    assert "/api/v1/sessions/{session_id}" in re.sub(r"<wbr>|\u200b", "", html)
