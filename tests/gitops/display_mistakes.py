"""The deliberate mistakes in what Argo CD shows, in addition to those in `mistakes`."""

from tests.gitops import display_rules as display
from tests.gitops.mistakes import APPLICATION_SET, BASE, Mistake

MISTAKES = (
    Mistake(
        display.objects_show_the_build_that_they_run,
        f"{BASE}/kustomization.yaml",
        "        index: 1",
        "        index: 0",
        "prod: Deployment/game-api: it has the version game-api",
    ),
    Mistake(
        display.objects_show_the_build_that_they_run,
        f"{BASE}/kustomization.yaml",
        "          kind: Job",
        "          kind: CronJob",
        "dev: Job/game-api-create-indexes: its pod has the version None",
    ),
    Mistake(
        display.objects_show_the_build_that_they_run,
        f"{BASE}/service.yaml",
        "  selector:\n",
        "  selector:\n    app.kubernetes.io/version: any\n",
        "staging: the Service selects pods by their version",
    ),
    Mistake(
        display.argocd_links_to_what_an_incident_needs,
        APPLICATION_SET,
        "value: https://{{ .metadata.annotations.hostname }}/docs",
        "value: https://{{ .metadata.annotations.hostname }}/openapi",
        "prod: the Ingress links to https://api.game.example/openapi",
    ),
    Mistake(
        display.argocd_links_to_what_an_incident_needs,
        APPLICATION_SET,
        "path: /metadata/annotations/link.argocd.argoproj.io~1external-link",
        "path: /metadata/annotations/checkov.io~1skip1",
        "dev: the Deployment links to fact:aws_region",
    ),
    Mistake(
        display.argocd_links_to_what_an_incident_needs,
        APPLICATION_SET,
        "value: '{{ .metadata.labels.environment }}'",
        "value: '{{ .server }}'",
        "prod: the Application shows",
    ),
)
