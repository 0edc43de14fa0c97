"""`make status` shows what every environment runs, and never fails because a part is missing."""

import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.access.provider import self_signed, send
from tests.gitops.clones import ROOT, Remote, git, run
from tests.gitops.conftest import Pipeline


class Environment:
    """The address of an environment: a real HTTPS server, whose /health has a body."""

    def __init__(self, certificate: Path) -> None:
        self.body, self.delay = b"", 0.0
        environment = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(environment.delay)
                send(self, 200 if self.path == "/health" else 404, environment.body)

            def log_message(self, *_: Any) -> None:
                pass

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = tls.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.hostname = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def prod(pipeline: Pipeline, tmp_path: Path) -> Iterator[Environment]:
    """Production's address. Those of dev and staging do not answer."""
    certificate = self_signed(tmp_path)
    environment = Environment(certificate)
    pipeline.reports.environment["SSL_CERT_FILE"] = str(certificate)
    folder = pipeline.clone / "terraform/environments"
    folder.mkdir(parents=True)
    for name, hostname in (("dev", "127.0.0.1:1"), ("prod", environment.hostname)):
        (folder / f"{name}.tfvars").write_text(f'region   = "x"\nhostname = "{hostname}"\n')
    yield environment
    environment.server.shutdown()
    environment.server.server_close()


def status(pipeline: Pipeline) -> tuple[dict[str, list[str]], str]:
    """The cells of each environment, and what is below the table."""
    code, output, errors = run(pipeline.clone, "status", **pipeline.reports.environment)
    assert (code, errors) == (0, "")
    table, _, below = output.partition("\n\n")
    header, *rows = (re.split(r" {2,}", line) for line in table.splitlines())
    assert header == ["environment", "build", "subject", "deployed", "behind", "live", "Argo CD"]
    return {row[0]: row[1:] for row in rows}, below


def test_the_table_shows_every_environment(
    pipeline: Pipeline, remote: Remote, prod: Environment
) -> None:
    one = pipeline.build("one")
    for target in ("staging", "prod"):
        pipeline.deploy(target)
    pipeline.report("prod", "failure")
    two = pipeline.build("two")
    remote.commit("docs: more", "README.md", "more")
    prod.body = json.dumps({"status": "ok", "commit": one}).encode()
    rows, below = status(pipeline)
    staging, production = (
        git(remote.bare, "rev-parse", "--short=12", f"env/{name}") for name in ("staging", "prod")
    )
    healthy, degraded = f"Healthy at {staging}", f"failure: Degraded at {production}"
    assert rows == {
        "dev": [two[:12], "feat: two", "0 min ago", "1", "unreachable", "no status"],
        "staging": [one[:12], "feat: one", "0 min ago", "1", "unreachable", healthy],
        "prod": [one[:12], "feat: one", "0 min ago", "0", one[:12], degraded],
    }
    assert below.startswith("behind: commits in the build of the environment before; for dev, on")


def test_a_live_build_that_is_another_one_is_marked(
    pipeline: Pipeline, remote: Remote, prod: Environment
) -> None:
    prod.body = json.dumps({"commit": "f" * 40}).encode()
    rows, _ = status(pipeline)
    assert rows["prod"][4] == f"{'f' * 12}, not this build"


def test_manifests_that_differ_are_shown(
    pipeline: Pipeline, remote: Remote, prod: Environment
) -> None:
    remote.commit("feat: a policy", "clusters/policy.yaml", "policy")
    assert status(pipeline)[0]["staging"][3] == "0, other manifests"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"commit": null}'])
def test_an_environment_that_answers_something_else_is_no_error(
    pipeline: Pipeline, prod: Environment, body: bytes
) -> None:
    prod.body = body
    assert status(pipeline)[0]["prod"][4] == "unreachable"


def test_an_environment_that_hangs_is_unreachable(pipeline: Pipeline, prod: Environment) -> None:
    prod.delay = 30
    started = time.monotonic()
    assert status(pipeline)[0]["prod"][4] == "unreachable"
    assert time.monotonic() - started < 15


def test_everything_may_be_missing(pipeline: Pipeline, remote: Remote) -> None:
    pipeline.reports.environment |= {"GH_TOKEN": "", "PATH": "/usr/bin:/bin"}
    git(remote.bare, "branch", "--quiet", "-D", "env/prod")
    rows, below = status(pipeline)
    assert rows["dev"][-2:] == ["unreachable", "unknown"]
    assert rows["prod"][0] == "unknown"
    assert "env/prod does not exist" in below
    assert below.count("there is no token for GitHub") == 1
    remote.bare.rename(remote.folder / "unreachable.git")
    rows, below = status(pipeline)
    assert rows["staging"][0] == remote.first_build[:12]
    assert "the branches are as they were when they were last fetched" in below


def test_a_build_whose_commit_is_missing_is_shown(pipeline: Pipeline, remote: Remote) -> None:
    unknown = "e" * 40
    path = "apps/game-api/base/kustomization.yaml"
    text = (remote.seed / path).read_text().replace(remote.first_build, unknown)
    remote.commit("chore: by hand", path, text)
    rows, _ = status(pipeline)
    assert rows["dev"][:2] == [unknown[:12], "not in this clone"] and rows["dev"][3] == "unknown"


def test_make_status_runs_the_status_command(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    command = ["make", "--silent", "-f", str(ROOT / "Makefile"), "status", "--dry-run"]
    result = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert result.stdout.strip().endswith("-m gitops status")
