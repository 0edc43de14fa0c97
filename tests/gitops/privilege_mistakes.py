"""The deliberate mistakes in what has privileges, in addition to those in `mistakes`."""

from tests.gitops import privilege_rules as privilege
from tests.gitops.mistakes import APPLICATION_SET, BASE, PROJECT, Mistake
from tests.gitops.platform_mistakes import AUTOSCALER

BOOTSTRAP = "terraform/argocd/bootstrap.tf"
IMAGES = "clusters/policies/images.yaml"
BINDING = "clusters/policies/images-binding.yaml"
OWNERS = privilege.CODEOWNERS

MISTAKES = (
    *(
        Mistake(
            privilege.the_platform_team_owns_what_has_privileges,
            OWNERS,
            f"\n/{line} ",
            f"\n/not-{line} ",
            f"{path}: @game-studio/backend may approve a change",
        )
        for line, path in (
            (".ci/", ".ci/__init__.py"),
            (".dockerignore", ".dockerignore"),
            (".github/", ".github/CODEOWNERS"),
            ("Dockerfile", "Dockerfile"),
            ("Makefile", "Makefile"),
            ("certificates/", "certificates/*.pem"),
            ("clusters/", "clusters/projects/default.yaml"),
            ("kustomization.yaml", "kustomization.yaml"),
            ("pyproject.toml", "pyproject.toml"),
            ("requirements/", "requirements/base.txt"),
            ("src/gitops/", "src/gitops/__main__.py"),
            ("terraform/", "terraform/argocd/bootstrap.tf"),
            ("tests/e2e/", "tests/e2e/__init__.py"),
            ("tests/gitops/", "tests/gitops/__init__.py"),
            ("tests/terraform/", "tests/terraform/__init__.py"),
        )
    ),
    Mistake(
        privilege.the_platform_team_owns_what_has_privileges,
        "kustomization.yaml",
        "  - clusters\n",
        "  - clusters\n  - apps/game-api/base/create-indexes\n",
        "apps/game-api/base/create-indexes/job.yaml: @game-studio/backend-leads may approve",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        PROJECT,
        "  name: game-session",
        "  name: everything",
        "everything: is no known project, or is missing",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        "clusters/projects/kustomization.yaml",
        "  - default.yaml\n",
        "",
        "default: is no known project, or is missing",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        "clusters/projects/platform.yaml",
        "    - https://kubernetes.github.io/autoscaler",
        "    - https://charts.example",
        "platform: allows the repository https://charts.example",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        AUTOSCALER,
        "project: platform",
        "project: default",
        "cluster-autoscaler: is in the project default",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        APPLICATION_SET,
        "'{{ .metadata.annotations.repository_url }}'",
        "https://git.example/other.git",
        "game-api: is from https://git.example/other.git",
    ),
    Mistake(
        privilege.applications_have_known_projects_and_repositories,
        AUTOSCALER,
        "kind: ApplicationSet",
        "kind: Application",
        "an Application is not from an ApplicationSet",
    ),
    Mistake(
        privilege.the_root_project_allows_what_the_root_application_creates,
        BOOTSTRAP,
        'kind = "ValidatingAdmissionPolicyBinding"',
        'kind = "ValidatingWebhookConfiguration"',
        "the root project does not allow ValidatingAdmissionPolicyBinding",
    ),
    Mistake(
        privilege.the_root_project_allows_what_the_root_application_creates,
        BOOTSTRAP,
        '"argocd", "gaming-namespace", ',
        '"gaming-namespace", ',
        "the root project does not allow the namespace argocd",
    ),
    *(
        Mistake(privilege.pods_run_only_released_images, file, old, new, message)
        for file, old, new, message in (
            (IMAGES, "failurePolicy: Fail", "failurePolicy: Ignore", "the policy only warns"),
            (BINDING, "[Deny]", "[Warn, Audit]", "the policy only warns"),
            (
                BINDING,
                "name: gaming-namespace",
                "name: data-namespace",
                "the policy game-api-images is",
            ),
            (IMAGES, "[CREATE, UPDATE]", "[CREATE]", "the policy is for the operations"),
            (IMAGES, "[pods, pods/ephemeralcontainers]", "[pods]", "the policy is for ['pods']"),
            (
                IMAGES,
                "        + object.spec.?initContainers.orValue([]).map(c, c.image)\n",
                "",
                "does not read the images of initContainers",
            ),
            (
                IMAGES,
                "object.spec.?ephemeralContainers != oldObject.spec.?ephemeralContainers",
                "",
                "does not look at a change of ephemeralContainers",
            ),
            (
                IMAGES,
                "size(variables.refused) == 0",
                "size(variables.refused) >= 0",
                "the policy decides by",
            ),
            (
                IMAGES,
                "!image.startsWith(variables.repository)\n        ||",
                "!image.startsWith(variables.repository)\n        &&",
                "the policy refuses only",
            ),
            (IMAGES, "'^[0-9a-f]{40}$'", "'[0-9a-f]{40}'", "a tag that only contains"),
            (IMAGES, "ecr_registry/game-api:", "ecr_registry/api:", "the policy refuses"),
            (
                f"{BASE}/create-indexes/job.yaml",
                "image: game-api #",
                "image: other #",
                "the policy refuses other",
            ),
        )
    ),
)
