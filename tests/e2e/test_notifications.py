"""Argo CD reports to people and GitHub deployments and failures, and nothing else."""

import time
from textwrap import shorten

from tests.e2e.argocd import state, wait_until_synced
from tests.e2e.cluster import DEV, Cluster
from tests.e2e.conftest import Measure
from tests.e2e.processes import wait_for


def test_a_deployment_is_reported_once_and_another_commit_is_not(
    cluster: Cluster, measure: Measure
) -> None:
    """A deployment is reported once, with its image; a commit that deploys nothing is not"""
    release = cluster.deployed_release()
    started = time.monotonic()
    revision = cluster.edit(DEV, "value: debug", "value: info", "fix(dev): log less")
    message = cluster.told("game-api-dev runs", revision, seconds=120)
    measure(f"told {message.received - started:.0f} s after the commit: {message.text}")
    assert f"game-api:{cluster.releases[release]}" in message.text
    assert f"/commit/{cluster.releases[release]}" in message.text
    assert "/applications/game-api-dev" in message.text
    described = cluster.commit_status(release, "success")
    assert described == f"Healthy at {revision}"
    measure(f"commit status: {described}")

    other = cluster.edit("README.md", "\n", "\n\n", "docs: add a line")
    wait_for("Argo CD has seen it", lambda: state("game-api-dev").revision == other)
    revision = cluster.revert()
    wait_for("Argo CD has seen it", lambda: state("game-api-dev").revision == revision)
    time.sleep(10)  # Nothing tells that there will be no message.
    told = [m.text for m in cluster.messages if m.received > started and " runs " in m.text]
    assert told == [message.text]


def test_what_is_broken_is_reported_with_the_reason(cluster: Cluster, measure: Measure) -> None:
    """An overlay that doesn't render, and a missing fact that degrades the root, are reported"""
    started = time.monotonic()
    cluster.edit(DEV, "- ../../base", "- ../../bass", "fix(dev): a typo")
    message = cluster.told("game-api-dev can't be compared with git", "bass", seconds=30)
    measure(f"overlay: {message.received - started:.1f} s, {shorten(message.text, 200)}")
    revision = cluster.revert()
    wait_until_synced(cluster.application, revision=revision)

    started = time.monotonic()
    cluster.remove_fact("hostname")
    try:
        message = cluster.told("root is degraded", "hostname", seconds=30)
        measure(f"missing fact: {message.received - started:.1f} s, {shorten(message.text, 200)}")
    finally:
        cluster.set_fact("hostname", "api.game.example")
    wait_until_synced("root", cluster.application)
