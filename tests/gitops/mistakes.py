"""The deliberate mistakes in the manifests that the rules have to report."""

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
        rules.images_have_the_tag_of_the_base,
        f"{BASE}/create-indexes/job.yaml",
        "image: game-api #",
        "image: game_api #",
        "prod: Job/game-api-create-indexes runs game_api",
    ),
    Mistake(
        rules.images_have_the_tag_of_the_base,
        PROD,
        "patches:",
        f"images:\n  - name: game-api\n    newTag: {'f' * 40}\npatches:",
        "prod: Deployment/game-api runs",
    ),
    Mistake(
        rules.images_have_the_tag_of_the_base,
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
        rules.facts_replace_every_placeholder,
        "terraform/argocd/bootstrap.tf",
        '"/spec/variables/0/expression"',
        '"/spec/variables/1/expression"',
        "ValidatingAdmissionPolicy game-api-images: the root Application and the manifest differ",
    ),
    Mistake(
        rules.facts_replace_every_placeholder,
        PROJECT,
        "    - fact:repository_url",
        "    - fact:repository_url\n    - fact:hostname",
        "AppProject game-session: the root Application and the manifest differ",
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
        "terminationGracePeriodSeconds: 75",
        "terminationGracePeriodSeconds: 60",
        "is 60 s, but a shutdown takes 25 + 6.0 + 20",
    ),
    Mistake(
        rules.pods_serve_until_the_load_balancer_has_closed_its_connections,
        f"{BASE}/ingress.yaml",
        "deregistration_delay.timeout_seconds=15",
        "deregistration_delay.timeout_seconds=30",
        "prod: connections last 30 s, but pods serve for 25 s",
    ),
    Mistake(
        rules.a_rollout_is_reported_before_its_pod_is_restarted,
        DEPLOYMENT,
        "failureThreshold: 300",
        "failureThreshold: 120",
        "pods restart after 120 s, the deadline is 120 s",
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
        delivery.the_index_job_runs_before_the_sync,
        f"{BASE}/create-indexes/job.yaml",
        "--wait=60",
        "--wait=90",
        "the job needs 320.0 s, but has 300 s",
    ),
    Mistake(
        delivery.the_index_job_runs_before_the_sync,
        f"{BASE}/create-indexes/kustomization.yaml",
        "patches:\n",
        "commonAnnotations:\n  argocd.argoproj.io/hook: PreSync\npatches:\n",
        "the annotations of the hook are on the job's pods too",
    ),
    Mistake(
        delivery.the_index_job_runs_before_the_sync,
        f"{BASE}/kustomization.yaml",
        "        argocd.argoproj.io/hook: PreSync\n",
        "        argocd.argoproj.io/hook: PreSync\n"
        "        argocd.argoproj.io/sync-options: Prune=false\n",
        "the settings of the job are kept",
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
        "    - group: apps\n      kind: ReplicaSet\n",
        "    - group: apps\n      kind: ReplicaSet\n"
        "    - group: discovery.k8s.io\n      kind: EndpointSlice\n",
        "EndpointSlice is not needed",
    ),
    Mistake(
        delivery.the_project_allows_only_what_is_needed,
        PROJECT,
        "- fact:repository_url",
        '- "*"',
        "the project allows the repositories ['*']",
    ),
    Mistake(
        delivery.application_sets_come_after_their_projects,
        APPLICATION_SET,
        'sync-wave: "1"',
        'sync-wave: "0"',
        "may be created before its project",
    ),
    Mistake(
        delivery.namespaces_are_protected,
        "clusters/namespaces/data/namespace.yaml",
        "enforce-version: v1.36",
        "enforce-version: v1.35",
        "data-namespace does not enforce the standard's version 1.36",
    ),
    Mistake(
        delivery.every_environment_has_its_application,
        APPLICATION_SET,
        "values: [dev, staging, prod]",
        "values: [dev, prod]",
        "the environments are",
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
        delivery.every_cluster_follows_its_branch,
        "terraform/environments/prod.argocd.tfvars",
        '"env/prod"',
        '"main"',
        "the cluster of prod follows ['main']",
    ),
)
