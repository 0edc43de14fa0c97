"""Rules for the access to the service. They work like the rules in `rules`."""

from collections.abc import Iterator

from game_api.settings import PREFIX
from gitops import overlay
from tests.gitops.rules import Rule, environment_variables
from tests.gitops.tree import FACTS, Tree, containers, find_one, pod_templates

ALB = "alb.ingress.kubernetes.io"

ISSUER_SETTINGS = {
    "JWKS_URL": "jwks_url",
    "JWT_AUDIENCE": "jwt_audience",
    "JWT_ISSUER": "jwt_issuer",
    "JWT_ROLES_CLAIM": "jwt_roles_claim",
    "JWT_ROLES_PREFIX": "jwt_roles_prefix",
}
"""The settings, without their prefix, that describe the issuer of tokens, and their facts."""


def every_environment_requires_tokens(tree: Tree) -> Iterator[str]:
    """Requests need a token of the issuer that the facts name. No manifest has a secret for it."""
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for name, template in pod_templates(manifests):
            for container in containers(template):
                variables = environment_variables(container, manifests)
                if variables.get(f"{PREFIX}AUTH") != "jwt":
                    yield f"{environment}: {name} has AUTH={variables.get(f'{PREFIX}AUTH')}"
                if f"{PREFIX}JWT_SECRET" in variables:
                    yield f"{environment}: {name} has the secret of tokens in its manifest"
                for setting, fact in ISSUER_SETTINGS.items():
                    if variables.get(f"{PREFIX}{setting}") != FACTS[fact]:
                        yield f"{environment}: {name} does not get {setting} from the fact {fact}"


def the_load_balancer_is_the_only_trusted_proxy(tree: Tree) -> Iterator[str]:
    """The load balancer appends an address to X-Forwarded-For, and the service believes that one.

    An address that a client writes itself stands before it, and is not used.
    """
    for environment in overlay.ENVIRONMENTS:
        manifests = tree.application(environment)
        for name, template in pod_templates(manifests):
            for container in containers(template):
                trusted = environment_variables(container, manifests)[f"{PREFIX}TRUSTED_PROXIES"]
                if trusted != "1":
                    yield f"{environment}: {name} trusts {trusted} proxies"


def the_load_balancer_has_the_web_acl(tree: Tree) -> Iterator[str]:
    """The AWS Load Balancer Controller associates the web ACL that Terraform creates."""
    for environment in overlay.ENVIRONMENTS:
        ingress = find_one(tree.application(environment), "Ingress")
        found = ingress["metadata"]["annotations"].get(f"{ALB}/wafv2-acl-arn")
        if found != FACTS["web_acl_arn"]:
            yield f"{environment}: the web ACL of the load balancer is {found}"


RULES: tuple[Rule, ...] = (
    every_environment_requires_tokens,
    the_load_balancer_is_the_only_trusted_proxy,
    the_load_balancer_has_the_web_acl,
)
