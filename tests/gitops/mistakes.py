"""The deliberate mistakes in the manifests and workflows that the rules have to report."""

from typing import NamedTuple

from tests.gitops import delivery_rules as delivery
from tests.gitops import rules
from tests.gitops.rules import Rule

BASE = "apps/game-api/base"
DEPLOYMENT = f"{BASE}/deployment.yaml"
DEV = "apps/game-api/overlays/dev/kustomization.yaml"
PROD = "apps/game-api/overlays/prod/kustomization.yaml"
APPLICATION_SET = "clusters/applications/game-api.yaml"
PROJECT = "clusters/projects/game-session.yaml"
RELEASE = ".github/workflows/release.yaml"


class Mistake(NamedTuple):
    """If `old` becomes `new` in `file`, then `rule` reports a violation that contains `message`."""

    rule: Rule
    file: str
    old: str
    new: str
    message: str


MISTAKES = (
    Mistake(
        rules.manifests_match_the_kubernetes_schemas,
        DEPLOYMENT,
        "progressDeadlineSeconds",
        "progressDeadline",
        "'progressDeadline' was unexpected",
    ),
    Mistake(
        rules.manifests_match_the_kubernetes_schemas,
        DEPLOYMENT,
        "failureThreshold: 300",
        "failureThreshold: many",
        "is not of type",
    ),
    Mistake(
        rules.images_have_the_tag_of_the_overlay,
        PROD,
        "- name: game-api\n    newTag",
        "- name: game_api\n    newTag",
        "prod: Deployment/game-api runs",
    ),
    Mistake(
        rules.images_have_the_tag_of_the_overlay,
        f"{BASE}/create-indexes/job.yaml",
        "image: game-api #",
        "image: game-api:latest #",
        "must be game-api without a tag, not game-api:latest",
    ),
    Mistake(
        rules.settings_are_known_and_valid,
        f"{BASE}/settings.env",
        "GAME_API_LOG_FORMAT",
        "GAME_API_LOGS_FORMAT",
        "GAME_API_LOGS_FORMAT, which is not a setting",
    ),
    Mistake(rules.settings_are_known_and_valid, DEV, "value: debug", "value: verbose", "log_level"),
    Mistake(
        rules.settings_are_known_and_valid,
        PROD,
        "value: prod",
        "value: staging",
        "prod: Deployment/game-api has the environment staging",
    ),
    Mistake(
        rules.facts_replace_every_placeholder,
        APPLICATION_SET,
        "path: /data/GAME_API_DOCUMENTDB_HOST",
        "path: /data/GAME_API_DB_HOST",
        "ConfigMap still has fact:documentdb_host",
    ),
    Mistake(
        rules.facts_replace_every_placeholder,
        f"{BASE}/ingress.yaml",
        "scheme: internet-facing",
        "scheme: fact:scheme",
        "Ingress still has fact:scheme",
    ),
    Mistake(
        rules.probes_call_the_health_endpoints,
        DEPLOYMENT,
        "path: /health/ready",
        "path: /healthz",
        "startupProbe calls /healthz",
    ),
    Mistake(
        rules.probes_call_the_health_endpoints,
        DEPLOYMENT,
        "livenessProbe:\n            httpGet:\n              path: /health\n",
        "livenessProbe:\n            httpGet:\n              path: /health/ready\n",
        "livenessProbe calls /health/ready",
    ),
    Mistake(
        rules.ports_match,
        DEPLOYMENT,
        "containerPort: 8000",
        "containerPort: 8080",
        "the process listens on 8000",
    ),
    Mistake(
        rules.ports_match,
        f"{BASE}/service.yaml",
        "app.kubernetes.io/component: api",
        "app.kubernetes.io/component: create-indexes",
        "the Service does not select the pods",
    ),
    Mistake(
        rules.ports_match,
        f"{BASE}/network-policy.yaml",
        "port: 27017",
        "port: 27018",
        "allows egress to",
    ),
    Mistake(
        rules.pods_stop_within_the_grace_period,
        DEPLOYMENT,
        "terminationGracePeriodSeconds: 60",
        "terminationGracePeriodSeconds: 30",
        "is 30 s, but a shutdown takes 9 + 6.0 + 20",
    ),
    Mistake(
        rules.pods_keep_idle_connections_longer_than_the_load_balancer,
        f"{BASE}/ingress.yaml",
        "drop_invalid_header_fields.enabled=true",
        "drop_invalid_header_fields.enabled=true,idle_timeout.timeout_seconds=75",
        "the load balancer's idle timeout is 75 s",
    ),
    Mistake(
        rules.connections_stay_below_the_database_limit,
        PROD,
        "path: /spec/maxReplicas\n        value: 8",
        "path: /spec/maxReplicas\n        value: 9",
        "prod: 11 pods",
    ),
    Mistake(
        rules.the_quota_has_room_for_every_pod,
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
        "removes pods",
    ),
    Mistake(
        rules.rollouts_keep_every_replica,
        DEPLOYMENT,
        "  revisionHistoryLimit: 5",
        "  replicas: 2\n  revisionHistoryLimit: 5",
        "sets replicas",
    ),
    Mistake(
        rules.overlays_differ_only_where_environments_do,
        PROD,
        "path: /spec/minReplicas",
        "path: /spec/metrics/0/resource/target/averageUtilization",
        "averageUtilization",
    ),
    Mistake(
        delivery.the_index_job_runs_before_the_sync,
        f"{BASE}/create-indexes/kustomization.yaml",
        "hook: PreSync",
        "hook: PostSync",
        "the job's hook and wave are ('PostSync', 0)",
    ),
    Mistake(
        delivery.the_index_job_runs_before_the_sync,
        f"{BASE}/create-indexes/job.yaml",
        "serviceAccountName: game-api-create-indexes",
        "serviceAccountName: game-api",
        "ServiceAccount game-api",
    ),
    Mistake(
        delivery.every_pod_has_one_network_policy,
        f"{BASE}/network-policy.yaml",
        "cidr: 169.254.170.23/32",
        "cidr: 0.0.0.0/0",
        "open to the internet",
    ),
    Mistake(
        delivery.every_pod_has_one_network_policy,
        f"{BASE}/create-indexes/network-policy.yaml",
        "component: create-indexes",
        "component: create-index",
        "Job/game-api-create-indexes has 0 policies",
    ),
    Mistake(
        delivery.namespaces_are_protected,
        "clusters/namespaces/data/namespace.yaml",
        "Prune=confirm,Delete=confirm",
        "Delete=confirm",
        "data-namespace can be pruned",
    ),
    Mistake(
        delivery.namespaces_are_protected,
        "clusters/namespaces/gaming/namespace.yaml",
        "enforce: restricted",
        "enforce: baseline",
        "gaming-namespace does not enforce",
    ),
    Mistake(
        delivery.the_project_allows_only_what_is_needed,
        PROJECT,
        "kind: Ingress",
        "kind: Secret",
        "Ingress is not allowed",
    ),
    Mistake(
        delivery.the_project_allows_only_what_is_needed,
        PROJECT,
        "kind: ReplicaSet",
        "kind: StatefulSet",
        "ReplicaSet is not allowed",
    ),
    Mistake(
        delivery.the_project_allows_only_what_is_needed,
        PROJECT,
        "- fact:repository_url",
        '- "*"',
        "the project allows the repositories ['*']",
    ),
    Mistake(
        delivery.application_sets_sync_safely,
        APPLICATION_SET,
        "selfHeal: true",
        "selfHeal: false",
        "the sync policy is",
    ),
    Mistake(
        delivery.application_sets_sync_safely,
        APPLICATION_SET,
        'sync-wave: "1"',
        'sync-wave: "0"',
        "may be created before its project",
    ),
    Mistake(
        delivery.application_sets_sync_safely,
        APPLICATION_SET,
        "[missingkey=error]",
        "[missingkey=zero]",
        "a missing fact is not an error",
    ),
    Mistake(
        delivery.every_environment_has_its_application,
        APPLICATION_SET,
        "values: [dev, staging, prod]",
        "values: [dev, prod]",
        "the environments are",
    ),
    Mistake(
        delivery.workflows_have_few_permissions,
        RELEASE,
        "permissions:\n  contents: read",
        "permissions: write-all",
        "release: the default permissions are write-all",
    ),
    Mistake(
        delivery.workflows_have_few_permissions,
        ".github/workflows/promote.yaml",
        "run: make promote",
        "run: kubectl apply -k . && make promote",
        "contains the word kubectl",
    ),
    Mistake(
        delivery.only_changes_to_the_image_start_a_release,
        RELEASE,
        "- src/game_api/**",
        "- src/**",
        "src/** is not in the image",
    ),
    Mistake(
        delivery.only_changes_to_the_image_start_a_release,
        RELEASE,
        "      - certificates/**\n",
        "      - apps/**\n",
        "the tag that a release commits to dev starts a release",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "tags: [python-v*, typescript-v*, unity-v*]",
        "branches: [main]",
        "the clients are published by {'push'",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "github.ref_name, 'unity-v'",
        "github.ref_name, 'unity'",
        "unity: is published if startsWith",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "    needs: ci\n    runs-on",
        "    runs-on",
        "python: is published without the checks",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "environment: npm",
        "environment: release",
        "typescript: the environment is release",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "      contents: write",
        "      contents: write\n      id-token: write",
        "unity: the permissions are",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        "github.token",
        "secrets.TOKEN",
        "a client is published with a stored secret",
    ),
    Mistake(
        delivery.only_the_tag_of_a_client_publishes_it,
        delivery.RELEASE_CLIENTS,
        '!= "python-v$version"',
        '!= "v$version"',
        "python: the version in the tag is not checked first",
    ),
    Mistake(
        delivery.the_image_is_pinned_and_minimal,
        "Dockerfile",
        "RUN tools/bin/pip install",
        "RUN --mount=type=cache,target=/cache tools/bin/pip install",
        "does not work with the classic builder",
    ),
    Mistake(
        delivery.the_image_is_pinned_and_minimal,
        "Dockerfile",
        "compileall.compile_dir(",
        "print(",
        "compiles the standard library",
    ),
    Mistake(
        delivery.the_image_is_pinned_and_minimal,
        "Dockerfile",
        "--require-hashes -r requirements/base.txt",
        "-r requirements/base.txt",
        "installed without hashes",
    ),
    Mistake(
        delivery.workflows_call_existing_make_targets,
        ".github/workflows/ci.yaml",
        "make checkov",
        "make chekov",
        "make chekov does not exist",
    ),
    Mistake(
        delivery.promotions_follow_the_order_of_environments,
        ".github/workflows/promote.yaml",
        "options: [staging, prod]",
        "options: [staging, production]",
        "the promote workflow offers",
    ),
)
