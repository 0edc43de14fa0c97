"""Rules for the issuer of tokens, the web ACL and the alarms of refused requests.

They work like the rules in `rules`. They expect a Cognito user pool and a web ACL, which every
environment has by default.
"""

import json
from collections.abc import Iterator
from typing import Any

from game_api.access.caller import ROLES
from game_api.observability.metrics import INSTRUMENTS, NAMESPACE
from tests.gitops.access_rules import ISSUER_SETTINGS
from tests.terraform.configurations import Outcome, Resource
from tests.terraform.rules import Rule, resources_of_type, widgets

LONGEST_TOKEN = 60
"""How many minutes an access token may be valid, because it can't be revoked."""

API_FLOWS = {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"}
"""The flows of Cognito's own API that may be allowed: in neither does a client send a password."""


def only(outcome: Outcome, kind: str) -> Resource:
    (resource,) = resources_of_type(outcome, kind)
    return resource


def clients(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The app clients of the user pool by name."""
    found = resources_of_type(outcome, "aws_cognito_user_pool_client")
    return {client.values["name"]: client.values for client in found}


def the_scopes_are_the_roles(outcome: Outcome) -> Iterator[str]:
    """There is a scope for each role of the service, and each client gets the scope of its own."""
    server = only(outcome, "aws_cognito_resource_server").values
    scopes = {scope["scope_name"] for scope in server["scope"]}
    if scopes != set(ROLES):
        yield f"the scopes are {sorted(scopes)}"
    if outcome.outputs["facts"]["jwt_roles_prefix"] != f"{server['identifier']}/":
        yield "the prefix of the roles is not that of the scopes"
    if clients(outcome).keys() != set(ROLES):
        yield f"the clients are {sorted(clients(outcome))}"
    for name, client in clients(outcome).items():
        allowed = set(client["allowed_oauth_scopes"]) - {"openid"}
        if allowed != {f"{server['identifier']}/{name}"}:
            yield f"the client {name} may get the scopes {sorted(allowed)}"


def clients_use_safe_flows(outcome: Outcome) -> Iterator[str]:
    """Players use the authorization code flow without a secret, programs client credentials."""
    for name, client in clients(outcome).items():
        player = name == "player"
        flows = {"code"} if player else {"client_credentials"}
        if set(client["allowed_oauth_flows"]) != flows:
            yield f"the client {name} may use the flows {client['allowed_oauth_flows']}"
        if client["generate_secret"] is player:
            yield f"the client {name} has {'a' if player else 'no'} secret"
        if not set(client["explicit_auth_flows"] or ["default"]) <= API_FLOWS:
            yield f"the client {name} may use {client['explicit_auth_flows']} of Cognito's API"
        if client["prevent_user_existence_errors"] != "ENABLED":
            yield f"the client {name} tells who has an account"
        for url in client["callback_urls"] or []:
            if url.startswith("http://") and not url.startswith("http://localhost"):
                yield f"the client {name} sends codes to {url}"


def tokens_are_short_lived(outcome: Outcome) -> Iterator[str]:
    """An access token is valid for an hour at most. Refresh tokens rotate and can be revoked."""
    for name, client in clients(outcome).items():
        (units,) = client["token_validity_units"]
        validity = (client["access_token_validity"], units["access_token"])
        if validity[1] != "minutes" or not 0 < validity[0] <= LONGEST_TOKEN:
            yield f"the access tokens of the client {name} are valid for {validity}"
        if not client["enable_token_revocation"]:
            yield f"the tokens of the client {name} can't be revoked"
    (rotation,) = clients(outcome)["player"]["refresh_token_rotation"]
    if rotation["feature"] != "ENABLED":
        yield "the refresh tokens of players do not rotate"


def the_facts_describe_the_issuer(outcome: Outcome) -> Iterator[str]:
    """The facts name the user pool, its keys, and the ids of all of its clients."""
    facts = outcome.outputs["facts"]
    issuer = f"https://{only(outcome, 'aws_cognito_user_pool').values['endpoint']}"
    expected = {
        "jwks_url": f"{issuer}/.well-known/jwks.json",
        "jwt_audience": ",".join(sorted(client["id"] for client in clients(outcome).values())),
        "jwt_issuer": issuer,
        "jwt_roles_claim": "scope",
        "jwt_roles_prefix": "game-api/",
    }
    assert expected.keys() == set(ISSUER_SETTINGS.values())
    for fact, value in expected.items():
        if facts[fact] != value:
            yield f"the fact {fact} is {facts[fact]}, not {value}"
    if facts["web_acl_arn"] != only(outcome, "aws_wafv2_web_acl").values["arn"]:
        yield f"the fact web_acl_arn is {facts['web_acl_arn']}"


def secrets_of_clients_are_sensitive(outcome: Outcome) -> Iterator[str]:
    """Only the output that Terraform does not print contains a secret of a client."""
    text = json.dumps(
        {name: value for name, value in outcome.outputs.items() if name != "cognito_client_secrets"}
    )
    for name, client in clients(outcome).items():
        secret = client["client_secret"]
        if name != "player" and secret in text:
            yield f"an output shows the secret of the client {name}"
    if outcome.outputs["cognito_client_secrets"].keys() != set(ROLES) - {"player"}:
        yield f"the secrets are those of {sorted(outcome.outputs['cognito_client_secrets'])}"


def the_web_acl_blocks_addresses_above_the_limit(outcome: Outcome) -> Iterator[str]:
    """The web ACL blocks an address that sends too many requests, with an answer as our own."""
    acl = only(outcome, "aws_wafv2_web_acl").values
    (rule,) = acl["rule"]
    ((statement,),) = (statement["rate_based_statement"] for statement in rule["statement"])
    if statement["aggregate_key_type"] != "IP" or statement["evaluation_window_sec"] != 300:
        yield f"the limit is for {statement}"
    (action,) = rule["action"]
    if not action["block"] or action["count"] or action["allow"]:
        yield "the rule of the web ACL does not block"
        return
    (response,) = action["block"][0]["custom_response"] or [{}]
    headers = {header["name"] for header in response.get("response_header", [])}
    bodies = {body["key"]: json.loads(body["content"]) for body in acl["custom_response_body"]}
    body = bodies.get(response.get("custom_response_body_key"), {})
    if (response.get("response_code"), body.get("code"), headers) != (
        429,
        "rate_limited",
        {"Retry-After"},
    ):
        yield f"the web ACL answers with {response}"


def the_web_acl_logs_no_tokens(outcome: Outcome) -> Iterator[str]:
    """The log and the samples of the web ACL contain no Authorization header, no query string."""
    acl = only(outcome, "aws_wafv2_web_acl").values
    for config in [*acl["visibility_config"], *acl["rule"][0]["visibility_config"]]:
        if config["sampled_requests_enabled"]:
            yield f"samples of {config['metric_name']} contain tokens"
    logging = only(outcome, "aws_wafv2_web_acl_logging_configuration").values
    redacted = logging["redacted_fields"]
    headers = {header["name"] for field in redacted for header in field["single_header"]}
    if "authorization" not in headers or not any(field["query_string"] for field in redacted):
        yield f"the log of the web ACL redacts {redacted}"
    names = {
        group.values["name"] for group in resources_of_type(outcome, "aws_cloudwatch_log_group")
    }
    if "aws-waf-logs-game-session" not in names:
        yield "the log group of the web ACL must begin with aws-waf-logs-"


def alarms_watch_refused_requests(outcome: Outcome) -> Iterator[str]:
    """There is an alarm on the percentage of each kind of refused requests.

    It needs a minimum number of requests, so that a few of them at night are not an alarm.
    """
    emitted = {instrument.name for instrument in INSTRUMENTS}
    watched = set()
    for alarm in resources_of_type(outcome, "aws_cloudwatch_metric_alarm"):
        queries = {query["id"]: query for query in alarm.values["metric_query"] or []}
        if "requests" not in queries:
            continue
        metrics = {
            name: query["metric"][0]["metric_name"]
            for name, query in queries.items()
            if query["metric"]
        }
        for query in queries.values():
            if query["metric"] and query["metric"][0]["namespace"] != NAMESPACE:
                yield f"{alarm.address} watches {query['metric']}"
        for name in set(metrics.values()) - emitted:
            yield f"{alarm.address} watches {name}, which is not emitted"
        (result,) = (query for query in queries.values() if query["return_data"])
        if not result["expression"].startswith("IF(requests >= 100, "):
            yield f"{alarm.address} goes off after few requests"
        if metrics.get("requests") != "RequestCount":
            yield f"{alarm.address} compares with {metrics.get('requests')}"
        watched.add(metrics.get("refused"))
    if watched != {"Unauthenticated", "Forbidden", "RateLimited"}:
        yield f"alarms watch the refused requests {sorted(map(str, watched))}"


def widgets_have_unique_ids(outcome: Outcome) -> Iterator[str]:
    """CloudWatch does not show a graph in which two metrics have the same id."""
    for widget in widgets(outcome):
        metrics = widget["properties"].get("metrics", [])
        ids = [metric[-1]["id"] for metric in metrics if "id" in metric[-1]]
        if len(ids) != len(set(ids)):
            yield f"the graph {widget['properties']['title']} has the ids {ids}"


RULES: tuple[Rule, ...] = (
    the_scopes_are_the_roles,
    clients_use_safe_flows,
    tokens_are_short_lived,
    the_facts_describe_the_issuer,
    secrets_of_clients_are_sensitive,
    the_web_acl_blocks_addresses_above_the_limit,
    the_web_acl_logs_no_tokens,
    alarms_watch_refused_requests,
    widgets_have_unique_ids,
)
