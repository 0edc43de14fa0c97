"""The deliberate mistakes in the access to the service, in addition to those in `mistakes`."""

from tests.gitops import access_rules as access
from tests.gitops import delivery_rules as delivery
from tests.gitops.mistakes import APPLICATION_SET, BASE, DEV, Mistake

MISTAKES = (
    Mistake(
        access.every_environment_requires_tokens,
        f"{BASE}/settings.env",
        "GAME_API_AUTH=jwt\n",
        "",
        "prod: Deployment/game-api has AUTH=None",
    ),
    Mistake(
        access.every_environment_requires_tokens,
        f"{BASE}/settings.env",
        "GAME_API_AUTH=jwt",
        "GAME_API_AUTH=none",
        "dev: Job/game-api-create-indexes has AUTH=none",
    ),
    Mistake(
        access.every_environment_requires_tokens,
        APPLICATION_SET,
        "annotations.jwt_audience",
        "annotations.jwt_issuer",
        "does not get JWT_AUDIENCE from the fact jwt_audience",
    ),
    Mistake(
        access.every_environment_requires_tokens,
        DEV,
        "      - op: replace\n",
        "      - op: add\n        path: /data/GAME_API_JWT_SECRET\n        value: guess-me\n"
        "      - op: replace\n",
        "dev: Deployment/game-api has the secret of tokens in its manifest",
    ),
    Mistake(
        access.the_load_balancer_is_the_only_trusted_proxy,
        f"{BASE}/settings.env",
        "TRUSTED_PROXIES=1",
        "TRUSTED_PROXIES=2",
        "Deployment/game-api trusts 2 proxies",
    ),
    Mistake(
        access.the_load_balancer_has_the_web_acl,
        APPLICATION_SET,
        "annotations.web_acl_arn",
        "annotations.certificate_arn",
        "dev: the web ACL of the load balancer is arn:aws:acm",
    ),
    Mistake(
        delivery.every_pod_has_one_network_policy,
        APPLICATION_SET,
        "path: /spec/egress/3/to/0/ipBlock/cidr",
        "path: /spec/egress/1/to/0/ipBlock/cidr",
        "the service cannot fetch the keys of the issuer",
    ),
    Mistake(
        delivery.every_pod_has_one_network_policy,
        f"{BASE}/network-policy.yaml",
        "cidr: 192.0.2.0/32 # fact: jwks_cidr\n      ports:\n",
        "cidr: 192.0.2.0/32 # fact: jwks_cidr\n      ports:\n        - protocol: TCP\n"
        "          port: 80\n",
        "NetworkPolicy game-api is open to the internet",
    ),
    Mistake(
        delivery.every_pod_has_one_network_policy,
        f"{BASE}/create-indexes/network-policy.yaml",
        "cidr: 169.254.170.23/32\n      ports:\n        - protocol: TCP\n          port: 80",
        "cidr: 0.0.0.0/0\n      ports:\n        - protocol: TCP\n          port: 443",
        "NetworkPolicy game-api-create-indexes is open to the internet",
    ),
)
