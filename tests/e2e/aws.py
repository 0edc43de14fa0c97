"""AWS's part, played by a real moto server, and EKS Pod Identity: how pods come to credentials.

On EKS a webhook gives the pods of some service accounts a token and the address of an agent, and
the agent changes the token for credentials. Here an admission policy and a small server do so.
"""

import json
import shutil
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
from tests.e2e.processes import Process, run, say

ENDPOINT = f"http://{HOST}:5000"
REGION = "eu-central-1"
AUDIENCE = "pods.eks.amazonaws.com"
ACCOUNTS = ("game-api", "game-api-create-indexes")
"""The service accounts that Terraform associates with a role."""
TOKENS = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"


REFUSAL = ("INPUT", "-p", "tcp", "--dport", "5000", "-j", "REJECT", "--reject-with", "tcp-reset")


class Aws:
    """Secrets Manager and CloudWatch Logs."""

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=ENDPOINT, region_name=REGION, **keys)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody gets through to it; what it holds it keeps."""
        run("iptables", "-I", *REFUSAL)
        try:
            yield
        finally:
            run("iptables", "-D", *REFUSAL)

    def create_secret(self, username: str, password: str) -> str:
        """A secret as DocumentDB makes one; returns its ARN."""
        value = json.dumps({"username": username, "password": password})
        client = self.client("secretsmanager")
        name = "rds!cluster-game-session-db"
        return str(client.create_secret(Name=name, SecretString=value)["ARN"])

    def change_secret(self, arn: str, username: str, password: str) -> None:
        value = json.dumps({"username": username, "password": password})
        self.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)

    def log_lines(self) -> list[dict[str, Any]]:
        """Every record in the log group."""
        client = self.client("logs")
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        return [json.loads(event["message"]) for page in pages for event in page["events"]]


@contextmanager
def aws() -> Iterator[Aws]:
    """AWS at ENDPOINT, and pods with credentials."""
    server = shutil.which("moto_server") or str(Path(sys.executable).with_name("moto_server"))
    moto = Process("moto", server, "-H", HOST, "-p", "5000", MOTO_CALL_RESET_API="false")
    agent = Process("pod-identity-agent", sys.executable, "-m", "tests.e2e.aws")
    playing = Aws()
    apply(*_policy())
    with agent, moto:
        moto.wait_until("moto answers", _answers)
        playing.client("logs").create_log_group(logGroupName=GROUP)
        say("AWS is played by moto")
        yield playing


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ENDPOINT}/moto-api/", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _policy() -> tuple[dict[str, Any], ...]:
    """What EKS Pod Identity's webhook does to a pod. The endpoint is for want of AWS's own."""
    variables = {
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{POD_IDENTITY_AGENT}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{TOKENS}/token",
    }
    token = {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "token"}
    name = "eks-pod-identity-token"
    volume = {"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}}
    mount = {"name": name, "mountPath": TOKENS, "readOnly": True}
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
    name = "eks-pod-identity"
    version = "admissionregistration.k8s.io/v1beta1"
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
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{patches}]"}}
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


def cel(value: Any) -> str:
    """A JSON value in the policy's language, in which members of one thing have one type."""
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}: dyn({cel(member)})" for name, member in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(f'dyn({cel(member)})' for member in value)}]"
    return json.dumps(value)


class Agent(BaseHTTPRequestHandler):
    """Gives credentials for the token of a service account that has an association."""

    def do_GET(self) -> None:
        account = reviewed(self.headers.get("Authorization", ""))
        known = [f"system:serviceaccount:{NAMESPACE}:{name}" for name in ACCOUNTS]
        answer = {
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "of-the-tests",
            "Token": account,
            "AccountId": "111111111111",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        body = json.dumps(answer).encode() if account in known else b"{}"
        self.send_response(200 if account in known else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def reviewed(token: str) -> str:
    """Whose token it is, as Kubernetes says; "" if it is nobody's or meant for others."""
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    status = api().post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    return str(status["user"]["username"]) if status.get("authenticated") else ""


if __name__ == "__main__":
    ThreadingHTTPServer((POD_IDENTITY_AGENT, 80), Agent).serve_forever()
