"""A simulation of AWS: a moto server, and EKS Pod Identity, which gives pods their credentials.

On EKS a webhook adds a token and the address of an agent to the pods of certain service accounts,
and the agent exchanges the token for credentials. Here an admission policy replaces the webhook and
a small HTTP server replaces the agent.
"""

import json
import shutil
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from tests.aws import GROUP
from tests.e2e.control_plane import NAMESPACE, api, apply
from tests.e2e.network import HOST, POD_IDENTITY_AGENT
from tests.e2e.paths import CERTIFICATE
from tests.e2e.processes import Process, print_progress, run

ENDPOINT = f"https://{HOST}"
REGION = "eu-central-1"
AUDIENCE = "pods.eks.amazonaws.com"
ACCOUNTS = ("game-api", "game-api-create-indexes")
"""The service accounts that Terraform associates with an IAM role."""
TOKEN_DIRECTORY = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"

CA_FILE = "/etc/ssl/certs/global-bundle.pem"
"""The image's file with the certificate authorities of DocumentDB, here those of the tests."""
OUTAGE = f"""
table ip outage {{
    chain input {{
        type filter hook input priority -10
        ip daddr {HOST} tcp dport 443 reject with tcp reset
    }}
}}
"""
"""The nftables rule that rejects connections to the simulated AWS.

It has a table of its own, because kube-router reorders the rules of iptables.
"""


class Aws:
    """Access to the simulated Secrets Manager and CloudWatch Logs."""

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(
            service,
            endpoint_url=ENDPOINT,
            region_name=REGION,
            verify=str(CERTIFICATE),
            **keys,
        )

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Reject all connections to AWS. The stored data is kept."""
        run("nft", "--file", "-", stdin=OUTAGE)
        try:
            yield
        finally:
            run("nft", "delete", "table", "ip", "outage")

    def create_secret(self, username: str, password: str) -> str:
        """Create a secret in the format of DocumentDB and return its ARN."""
        value = json.dumps({"username": username, "password": password})
        client = self.client("secretsmanager")
        name = "rds!cluster-game-session-db"
        return str(client.create_secret(Name=name, SecretString=value)["ARN"])

    def change_secret(self, arn: str, username: str, password: str) -> None:
        value = json.dumps({"username": username, "password": password})
        self.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return every log record in the log group."""
        client = self.client("logs")
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        return [json.loads(event["message"]) for page in pages for event in page["events"]]


@contextmanager
def running_aws() -> Iterator[Aws]:
    """Run the simulated AWS at ENDPOINT, with credentials for the service's pods."""
    server = shutil.which("moto_server") or str(Path(sys.executable).with_name("moto_server"))
    address = ("--host", HOST, "--port", "443")
    certificate = ("--ssl-cert", CERTIFICATE, "--ssl-key", CERTIFICATE)
    moto = Process("moto", server, *address, *certificate, MOTO_CALL_RESET_API="false")
    agent = Process("pod-identity-agent", sys.executable, "-m", "tests.e2e.aws")
    aws = Aws()
    apply(*_pod_identity_policy())
    with agent, moto:
        moto.wait_until("moto answers", _answers)
        aws.client("logs").create_log_group(logGroupName=GROUP)
        print_progress("the simulated AWS (moto) is ready")
        yield aws


def _answers() -> bool:
    try:
        context = ssl.create_default_context(cafile=CERTIFICATE)
        address = f"{ENDPOINT}/moto-api/"
        with urllib.request.urlopen(address, timeout=1, context=context) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _pod_identity_policy() -> tuple[dict[str, Any], ...]:
    """The admission policy that changes pods as the webhook of EKS Pod Identity does."""
    name = "eks-pod-identity"
    version = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    accounts = json.dumps(ACCOUNTS)
    return (
        {
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [{**rule, "resources": ["pods"]}]},
                "matchConditions": [
                    {
                        "name": "associated",
                        "expression": f'object.metadata.namespace == "{NAMESPACE}"'
                        f" && object.spec.serviceAccountName in {accounts}",
                    }
                ],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": _pod_patches()}}
                ],
            },
        },
        {
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name},
        },
    )


def _pod_patches() -> str:
    """A CEL expression: the JSON patches that add the token and the variables to a pod."""
    variables = {
        # The webhook does not set these: the pods have to reach moto instead of AWS, and to trust
        # the certificates of moto and of the identity provider.
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_CA_BUNDLE": CA_FILE,
        "SSL_CERT_FILE": CA_FILE,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{POD_IDENTITY_AGENT}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{TOKEN_DIRECTORY}/token",
    }
    token = {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "token"}
    name = "eks-pod-identity-token"
    volume = {"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}}
    mount = {"name": name, "mountPath": TOKEN_DIRECTORY, "readOnly": True}
    added = {
        "/spec/volumes": [volume],
        "/spec/containers/0/volumeMounts": [mount],
        **{
            f"/spec/containers/0/env/{number}": {"name": name, "value": value}
            for number, (name, value) in enumerate(variables.items())
        },
    }
    patches = ", ".join(
        f'JSONPatch{{op: "add", path: "{path}", value: {cel(value)}}}'
        for path, value in added.items()
    )
    return f"[{patches}]"


def cel(value: Any) -> str:
    """Convert a JSON value to a CEL expression.

    The values of a CEL map or list must have the same type, so each is wrapped in `dyn()`.
    """
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}: dyn({cel(member)})" for name, member in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(f'dyn({cel(member)})' for member in value)}]"
    return json.dumps(value)


class Agent(BaseHTTPRequestHandler):
    """Issues credentials for the token of a service account that is in ACCOUNTS."""

    def do_GET(self) -> None:
        account = token_owner(self.headers.get("Authorization", ""))
        associated = [f"system:serviceaccount:{NAMESPACE}:{name}" for name in ACCOUNTS]
        credentials = {
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "test",
            "Token": account,
            "AccountId": "111111111111",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        body = json.dumps(credentials).encode() if account in associated else b"{}"
        self.send_response(200 if account in associated else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def token_owner(token: str) -> str:
    """Return the user of a token, or "" if it is invalid or meant for another audience."""
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    status = api().post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    return str(status["user"]["username"]) if status.get("authenticated") else ""


if __name__ == "__main__":
    ThreadingHTTPServer((POD_IDENTITY_AGENT, 80), Agent).serve_forever()
