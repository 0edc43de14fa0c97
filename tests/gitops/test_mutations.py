"""Deliberate mistakes, each in a copy of the repository, each noticed by the rule for it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gitops import delivery_rules as delivery
from tests.gitops import rules
from tests.gitops.rules import Rule
from tests.gitops.tree import Tree

BASE = "apps/game-api/base"
DEPLOYMENT = f"{BASE}/deployment.yaml"
DEV = "apps/game-api/overlays/dev/kustomization.yaml"
PROD = "apps/game-api/overlays/prod/kustomization.yaml"
SET = "clusters/applications/game-api.yaml"
PROJECT = "clusters/projects/game-session.yaml"
RELEASE = ".github/workflows/release.yaml"


class Mistake(NamedTuple):
    """In `file`, `old` becomes `new`; `rule` says something that holds `says`."""

    rule: Rule
    file: str
    old: str
    new: str
    says: str


MISTAKES = (
    Mistake(
        rules.schemas_hold,
        DEPLOYMENT,
        "progressDeadlineSeconds",
        "progressDeadline",
        "'progressDeadline' was unexpected",
    ),
    Mistake(
        rules.schemas_hold,
        DEPLOYMENT,
        "failureThreshold: 300",
        "failureThreshold: many",
        "is not of type",
    ),
    Mistake(
        rules.images_carry_the_overlays_tag,
        PROD,
        "- name: game-api\n    newTag",
        "- name: game_api\n    newTag",
        "prod: Deployment/game-api runs",
    ),
    Mistake(
        rules.images_carry_the_overlays_tag,
        f"{BASE}/create-indexes/job.yaml",
        "image: game-api #",
        "image: game-api:latest #",
        "has an image game-api:latest",
    ),
    Mistake(
        rules.settings_are_known_and_good,
        f"{BASE}/settings.env",
        "GAME_API_LOG_FORMAT",
        "GAME_API_LOGS_FORMAT",
        "GAME_API_LOGS_FORMAT, which is no setting",
    ),
    Mistake(rules.settings_are_known_and_good, DEV, "value: debug", "value: verbose", "log_level"),
    Mistake(
        rules.settings_are_known_and_good,
        PROD,
        "value: prod",
        "value: staging",
        "prod: Deployment/game-api is told that it is in staging",
    ),
    Mistake(
        rules.facts_fill_every_gap,
        SET,
        "path: /data/GAME_API_DOCUMENTDB_HOST",
        "path: /data/GAME_API_DB_HOST",
        "ConfigMap still has fact:documentdb_host",
    ),
    Mistake(
        rules.facts_fill_every_gap,
        f"{BASE}/ingress.yaml",
        "scheme: internet-facing",
        "scheme: fact:scheme",
        "Ingress still has fact:scheme",
    ),
    Mistake(
        rules.probed_paths_exist,
        DEPLOYMENT,
        "path: /health/ready",
        "path: /healthz",
        "startupProbe asks for /healthz",
    ),
    Mistake(
        rules.probed_paths_exist,
        DEPLOYMENT,
        "livenessProbe:\n            httpGet:\n              path: /health\n",
        "livenessProbe:\n            httpGet:\n              path: /health/ready\n",
        "livenessProbe asks for /health/ready",
    ),
    Mistake(
        rules.ports_agree,
        DEPLOYMENT,
        "containerPort: 8000",
        "containerPort: 8080",
        "the process listens on 8000",
    ),
    Mistake(
        rules.ports_agree,
        f"{BASE}/service.yaml",
        "app.kubernetes.io/component: api",
        "app.kubernetes.io/component: create-indexes",
        "the Service does not select the pods",
    ),
    Mistake(
        rules.ports_agree,
        f"{BASE}/network-policy.yaml",
        "port: 27017",
        "port: 27018",
        "lets out to",
    ),
    Mistake(
        rules.pods_end_in_time,
        DEPLOYMENT,
        "terminationGracePeriodSeconds: 60",
        "terminationGracePeriodSeconds: 30",
        "30 s, for 9 + 6.0 + 20",
    ),
    Mistake(
        rules.idle_connections_outlive_the_load_balancers,
        f"{BASE}/ingress.yaml",
        "drop_invalid_header_fields.enabled=true",
        "drop_invalid_header_fields.enabled=true,idle_timeout.timeout_seconds=75",
        "the load balancer's last 75 s",
    ),
    Mistake(
        rules.connections_stay_below_the_databases_limit,
        PROD,
        "path: /spec/maxReplicas\n        value: 8",
        "path: /spec/maxReplicas\n        value: 9",
        "prod: 11 pods",
    ),
    Mistake(
        rules.the_quota_holds_every_pod,
        "clusters/namespaces/gaming/kustomization.yaml",
        "value: 10Gi",
        "value: 4Gi",
        "limits.memory",
    ),
    Mistake(
        rules.pods_are_restricted,
        DEPLOYMENT,
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "Deployment/game-api: game-api has",
    ),
    Mistake(
        rules.pods_are_restricted,
        DEPLOYMENT,
        "enableServiceLinks: false",
        "enableServiceLinks: true",
        "enableServiceLinks is not false",
    ),
    Mistake(
        rules.pods_are_restricted, "Dockerfile", "USER 10001:10001", "USER 10002:10002", "10002"
    ),
    Mistake(
        rules.rollouts_keep_every_replica,
        DEPLOYMENT,
        "maxUnavailable: 0",
        "maxUnavailable: 1",
        "takes pods away",
    ),
    Mistake(
        rules.rollouts_keep_every_replica,
        DEPLOYMENT,
        "  revisionHistoryLimit: 5",
        "  replicas: 2\n  revisionHistoryLimit: 5",
        "says replicas",
    ),
    Mistake(
        rules.overlays_differ_only_where_environments_do,
        PROD,
        "path: /spec/minReplicas",
        "path: /spec/metrics/0/resource/target/averageUtilization",
        "averageUtilization",
    ),
    Mistake(
        delivery.the_index_job_runs_before_anything_changes,
        f"{BASE}/create-indexes/kustomization.yaml",
        "hook: PreSync",
        "hook: PostSync",
        "the job runs at ('PostSync', 0)",
    ),
    Mistake(
        delivery.the_index_job_runs_before_anything_changes,
        f"{BASE}/create-indexes/job.yaml",
        "serviceAccountName: game-api-create-indexes",
        "serviceAccountName: game-api",
        "ServiceAccount game-api",
    ),
    Mistake(
        delivery.every_pod_has_its_network_policy,
        f"{BASE}/network-policy.yaml",
        "cidr: 169.254.170.23/32",
        "cidr: 0.0.0.0/0",
        "open to the internet",
    ),
    Mistake(
        delivery.every_pod_has_its_network_policy,
        f"{BASE}/create-indexes/network-policy.yaml",
        "component: create-indexes",
        "component: create-index",
        "Job/game-api-create-indexes has 0 policies",
    ),
    Mistake(
        delivery.namespaces_are_guarded,
        "clusters/namespaces/data/namespace.yaml",
        "Prune=confirm,Delete=confirm",
        "Delete=confirm",
        "data-namespace can be pruned",
    ),
    Mistake(
        delivery.namespaces_are_guarded,
        "clusters/namespaces/gaming/namespace.yaml",
        "enforce: restricted",
        "enforce: baseline",
        "gaming-namespace does not enforce",
    ),
    Mistake(
        delivery.the_project_allows_what_is_needed_and_no_more,
        PROJECT,
        "kind: Ingress",
        "kind: Secret",
        "Ingress is not allowed",
    ),
    Mistake(
        delivery.the_project_allows_what_is_needed_and_no_more,
        PROJECT,
        "kind: ReplicaSet",
        "kind: StatefulSet",
        "ReplicaSet is not allowed",
    ),
    Mistake(
        delivery.the_project_allows_what_is_needed_and_no_more,
        PROJECT,
        "- fact:repository_url",
        '- "*"',
        "the project allows ['*']",
    ),
    Mistake(
        delivery.applications_heal_and_survive, SET, "selfHeal: true", "selfHeal: false", "syncs"
    ),
    Mistake(
        delivery.applications_heal_and_survive,
        SET,
        'sync-wave: "1"',
        'sync-wave: "0"',
        "may be there before its project is",
    ),
    Mistake(
        delivery.applications_heal_and_survive,
        SET,
        "[missingkey=error]",
        "[missingkey=zero]",
        "a missing fact is not an error",
    ),
    Mistake(
        delivery.applications_heal_and_survive,
        SET,
        "values: [dev, staging, prod]",
        "values: [dev, prod]",
        "the environments are",
    ),
    Mistake(
        delivery.workflows_have_few_rights,
        RELEASE,
        "permissions:\n  contents: read",
        "permissions: write-all",
        "release: may write-all",
    ),
    Mistake(
        delivery.workflows_have_few_rights,
        ".github/workflows/promote.yaml",
        "run: make promote",
        "run: kubectl apply -k . && make promote",
        "has to do with kubectl",
    ),
    Mistake(
        delivery.releases_follow_the_images_inputs,
        RELEASE,
        "- src/game_api/**",
        "- src/**",
        "src/** is in no image",
    ),
    Mistake(
        delivery.releases_follow_the_images_inputs,
        RELEASE,
        "      - certificates/**\n",
        "      - apps/**\n",
        "the tag that a release commits to dev makes a release",
    ),
    Mistake(
        delivery.the_image_holds_what_it_needs,
        "Dockerfile",
        "RUN tools/bin/pip install",
        "RUN --mount=type=cache,target=/cache tools/bin/pip install",
        "the classic builder can't",
    ),
    Mistake(
        delivery.the_image_holds_what_it_needs,
        "Dockerfile",
        "--require-hashes -r requirements/base.txt",
        "-r requirements/base.txt",
        "installed without hashes",
    ),
    Mistake(
        delivery.workflows_call_what_make_has,
        ".github/workflows/ci.yaml",
        "make checkov",
        "make chekov",
        "make chekov does not exist",
    ),
    Mistake(
        delivery.promotions_follow_the_order,
        ".github/workflows/promote.yaml",
        "options: [staging, prod]",
        "options: [staging, production]",
        "promotions can be",
    ),
)


@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=lambda mistake: f"{mistake.rule.__name__}-{mistake.new.strip()[:30]}"
)
def test_a_mistake_is_noticed(tmp_path: Path, mistake: Mistake) -> None:
    tree = Tree().copy(tmp_path)
    file = tmp_path / mistake.file
    text = file.read_text()
    assert mistake.old in text, "the mistake can't be made any more"
    file.write_text(text.replace(mistake.old, mistake.new, 1))
    said = list(mistake.rule(tree))
    assert any(mistake.says in sentence for sentence in said), said


def test_an_unknown_fact_stops_the_application(tmp_path: Path) -> None:
    tree = Tree().copy(tmp_path)
    file = tmp_path / SET
    file.write_text(file.read_text().replace("annotations.hostname", "annotations.host"))
    with pytest.raises(KeyError, match="host"):
        tree.template("game-api", "dev")
