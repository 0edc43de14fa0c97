"""A stand-in for EKS, which moto has only a part of: clusters and what belongs to them.

It keeps what the provider sends, and answers as AWS does. What AWS takes minutes for is done at
once. It also answers for the parameters of Systems Manager that name the releases of node AMIs.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import boto3

Document = dict[str, Any]

RELEASE = "20261101"
"""The date in the release of every node AMI."""


class Refused(Exception):
    """A request that AWS refuses, with the name of its error."""

    def __init__(self, status: int, name: str, message: str) -> None:
        self.status = status
        self.body = {"__type": name, "message": message}
        super().__init__(message)


class Request(NamedTuple):
    """A request to EKS in a region, with the parts of its path that the route names."""

    region: str
    parts: tuple[str, ...]
    query: dict[str, list[str]]
    body: Document


class Cluster(NamedTuple):
    """A cluster, and what belongs to it by name or id."""

    values: Document
    node_groups: dict[str, Document]
    addons: dict[str, Document]
    access_entries: dict[str, Document]
    access_policies: dict[tuple[str, str], Document]
    pod_identities: dict[str, Document]


def found(things: dict[Any, Any], key: Any, kind: str) -> Any:
    """The thing with this key. Raises Refused if there is none."""
    if key not in things:
        raise Refused(404, "ResourceNotFoundException", f"No {kind} found for {key}")
    return things[key]


def repeated(body: Document, existing: Document, message: str) -> Document:
    """The answer to a request that creates what exists. Raises Refused if it is another request.

    The provider repeats a request whose answer is late, with the same token.
    """
    name = "clientRequestToken"
    if body.get(name) is None or body[name] != existing.get(name):
        raise Refused(409, "ResourceInUseException", message)
    return existing


class Eks:
    """The clusters of one account in all regions."""

    def __init__(self, account: str, ec2: str) -> None:
        """`ec2` is the address of the EC2 in which clusters have their security groups."""
        self.account = account
        self.ec2 = ec2
        self.clusters: dict[tuple[str, str], Cluster] = {}

    def answer(self, method: str, path: str, request: Request) -> Document:
        """The answer to a request. Raises Refused."""
        for route_method, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if method == route_method and match:
                parts = tuple(unquote(part) for part in match.groups())
                return handler(self, request._replace(parts=parts))
        raise Refused(404, "ResourceNotFoundException", f"no such operation: {method} {path}")

    def arn(self, region: str, rest: str) -> str:
        return f"arn:aws:eks:{region}:{self.account}:{rest}"

    def _ec2(self, region: str) -> Any:
        return boto3.client(
            "ec2",
            endpoint_url=self.ec2,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _cluster(self, request: Request) -> Cluster:
        cluster: Cluster = found(self.clusters, (request.region, request.parts[0]), "cluster")
        return cluster

    def create_cluster(self, request: Request) -> Document:
        body, region, name = request.body, request.region, request.body["name"]
        if existing := self.clusters.get((region, name)):
            return {"cluster": repeated(body, existing.values, f"Cluster already exists: {name}")}
        ec2, network = self._ec2(region), dict(body["resourcesVpcConfig"])
        (subnet,) = ec2.describe_subnets(SubnetIds=network["subnetIds"][:1])["Subnets"]
        group = ec2.create_security_group(
            GroupName=f"eks-cluster-sg-{name}", Description="EKS", VpcId=subnet["VpcId"]
        )
        network |= {"clusterSecurityGroupId": group["GroupId"], "vpcId": subnet["VpcId"]}
        values = {
            **body,
            "arn": self.arn(region, f"cluster/{name}"),
            "createdAt": time.time(),
            "endpoint": f"https://0123456789ABCDEF.gr7.{region}.eks.amazonaws.com",
            "resourcesVpcConfig": {
                "publicAccessCidrs": ["0.0.0.0/0"],
                "securityGroupIds": [],
                **network,
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
            "certificateAuthority": {"data": "Y2E="},
            "platformVersion": "eks.1",
            "status": "ACTIVE",
        }
        cluster = Cluster(values, {}, {}, {}, {}, {})
        self.clusters[region, name] = cluster
        return {"cluster": values}

    def describe_cluster(self, request: Request) -> Document:
        return {"cluster": self._cluster(request).values}

    def update_version(self, request: Request) -> Document:
        values, new = self._cluster(request).values, request.body["version"]
        old_minor, new_minor = (int(v.split(".")[1]) for v in (values["version"], new))
        if not old_minor <= new_minor <= old_minor + 1:
            message = (
                f"Unsupported Kubernetes minor version update from {values['version']} to {new}"
            )
            raise Refused(400, "InvalidParameterException", message)
        values["version"] = new
        return update("VersionUpdate")

    def update_config(self, request: Request) -> Document:
        values, body = self._cluster(request).values, request.body
        values["resourcesVpcConfig"] |= body.get("resourcesVpcConfig", {})
        values |= {
            name: body[name]
            for name in ("upgradePolicy", "logging", "deletionProtection", "accessConfig")
            if name in body
        }
        return update("EndpointAccessUpdate")

    def delete_cluster(self, request: Request) -> Document:
        cluster = self._cluster(request)
        if cluster.values.get("deletionProtection"):
            raise Refused(400, "InvalidRequestException", "The cluster has deletion protection")
        if cluster.node_groups:
            raise Refused(409, "ResourceInUseException", "Cluster has nodegroups attached")
        group = cluster.values["resourcesVpcConfig"]["clusterSecurityGroupId"]
        self._ec2(request.region).delete_security_group(GroupId=group)
        del self.clusters[request.region, request.parts[0]]
        return {"cluster": {**cluster.values, "status": "DELETING"}}

    def create_node_group(self, request: Request) -> Document:
        cluster, body, name = self._cluster(request), request.body, request.body["nodegroupName"]
        if existing := cluster.node_groups.get(name):
            return {"nodegroup": repeated(body, existing, f"NodeGroup already exists: {name}")}
        version = body.get("version") or cluster.values["version"]
        cluster.node_groups[name] = {
            "capacityType": "ON_DEMAND",
            "instanceTypes": [],
            "health": {"issues": []},
            **body,
            "clusterName": request.parts[0],
            "nodegroupArn": self.arn(request.region, f"nodegroup/{request.parts[0]}/{name}/1"),
            "version": version,
            "releaseVersion": body.get("releaseVersion") or f"{version}.0-{RELEASE}",
            "createdAt": time.time(),
            "modifiedAt": time.time(),
            "resources": {"autoScalingGroups": [{"name": f"eks-{name}"}]},
            "status": "ACTIVE",
        }
        return {"nodegroup": cluster.node_groups[name]}

    def describe_node_group(self, request: Request) -> Document:
        groups = self._cluster(request).node_groups
        return {"nodegroup": found(groups, request.parts[1], "node group")}

    def update_node_group_version(self, request: Request) -> Document:
        cluster, body = self._cluster(request), request.body
        group = found(cluster.node_groups, request.parts[1], "node group")
        version = body.get("version") or group["version"]
        if int(version.split(".")[1]) > int(cluster.values["version"].split(".")[1]):
            message = "Nodegroup Kubernetes version should not be newer than that of the cluster"
            raise Refused(400, "InvalidParameterException", message)
        group["version"] = version
        group["releaseVersion"] = body.get("releaseVersion") or f"{version}.0-{RELEASE}"
        group["launchTemplate"] = body.get("launchTemplate") or group.get("launchTemplate")
        return update("VersionUpdate")

    def update_node_group_config(self, request: Request) -> Document:
        group = self.describe_node_group(request)["nodegroup"]
        group |= {
            name: request.body[name]
            for name in ("scalingConfig", "updateConfig", "nodeRepairConfig")
            if name in request.body
        }
        return update("ConfigUpdate")

    def delete_node_group(self, request: Request) -> Document:
        group = self.describe_node_group(request)
        del self._cluster(request).node_groups[request.parts[1]]
        return group

    def addon_versions(self, request: Request) -> Document:
        (name,), (version,) = request.query["addonName"], request.query["kubernetesVersion"]
        compatible = {"clusterVersion": version, "platformVersions": ["*"], "defaultVersion": True}
        known = {"addonVersion": f"v{version}.0-eksbuild.1", "compatibilities": [compatible]}
        return {"addons": [{"addonName": name, "addonVersions": [known]}]}

    def create_addon(self, request: Request) -> Document:
        cluster, body, name = self._cluster(request), request.body, request.body["addonName"]
        associations = []
        for association in body.get("podIdentityAssociations", []):
            inner = request._replace(body={**association, "namespace": "kube-system"})
            created = self.create_pod_identity(inner)["association"]
            associations.append(created["associationArn"])
        cluster.addons[name] = {
            **body,
            "clusterName": request.parts[0],
            "addonArn": self.arn(request.region, f"addon/{request.parts[0]}/{name}/1"),
            "podIdentityAssociations": associations,
            "createdAt": time.time(),
            "modifiedAt": time.time(),
            "health": {"issues": []},
            "status": "ACTIVE",
        }
        return {"addon": cluster.addons[name]}

    def describe_addon(self, request: Request) -> Document:
        return {"addon": found(self._cluster(request).addons, request.parts[1], "add-on")}

    def update_addon(self, request: Request) -> Document:
        addon = self.describe_addon(request)["addon"]
        for name in ("addonVersion", "configurationValues"):
            addon[name] = request.body.get(name) or addon.get(name)
        return update("AddonUpdate")

    def delete_addon(self, request: Request) -> Document:
        addon = self.describe_addon(request)
        del self._cluster(request).addons[request.parts[1]]
        return addon

    def create_access_entry(self, request: Request) -> Document:
        principal = request.body["principalArn"]
        entry = {
            "kubernetesGroups": [],
            "type": "STANDARD",
            "username": principal,
            **request.body,
            "clusterName": request.parts[0],
            "accessEntryArn": self.arn(request.region, f"access-entry/{request.parts[0]}/1"),
            "createdAt": time.time(),
            "modifiedAt": time.time(),
        }
        self._cluster(request).access_entries[principal] = entry
        return {"accessEntry": entry}

    def describe_access_entry(self, request: Request) -> Document:
        entries = self._cluster(request).access_entries
        return {"accessEntry": found(entries, request.parts[1], "access entry")}

    def delete_access_entry(self, request: Request) -> Document:
        self.describe_access_entry(request)
        del self._cluster(request).access_entries[request.parts[1]]
        return {}

    def associate_access_policy(self, request: Request) -> Document:
        policy = {**request.body, "associatedAt": time.time(), "modifiedAt": time.time()}
        key = (request.parts[1], request.body["policyArn"])
        self._cluster(request).access_policies[key] = policy
        return {
            "clusterName": request.parts[0],
            "principalArn": request.parts[1],
            "associatedAccessPolicy": policy,
        }

    def list_access_policies(self, request: Request) -> Document:
        policies = self._cluster(request).access_policies.items()
        return {
            "clusterName": request.parts[0],
            "principalArn": request.parts[1],
            "associatedAccessPolicies": [p for key, p in policies if key[0] == request.parts[1]],
        }

    def disassociate_access_policy(self, request: Request) -> Document:
        self._cluster(request).access_policies.pop((request.parts[1], request.parts[2]), None)
        return {}

    def create_pod_identity(self, request: Request) -> Document:
        key = f"a-{uuid4().hex[:17]}"
        association = {
            "tags": {},
            **request.body,
            "clusterName": request.parts[0],
            "associationId": key,
            "associationArn": self.arn(
                request.region, f"podidentityassociation/{request.parts[0]}/{key}"
            ),
            "createdAt": time.time(),
            "modifiedAt": time.time(),
            "disableSessionTags": False,
        }
        self._cluster(request).pod_identities[key] = association
        return {"association": association}

    def list_pod_identities(self, request: Request) -> Document:
        return {"associations": list(self._cluster(request).pod_identities.values())}

    def describe_pod_identity(self, request: Request) -> Document:
        known = self._cluster(request).pod_identities
        return {"association": found(known, request.parts[1], "association")}

    def delete_pod_identity(self, request: Request) -> Document:
        association = self.describe_pod_identity(request)
        del self._cluster(request).pod_identities[request.parts[1]]
        return association

    def describe_update(self, request: Request) -> Document:
        return update("VersionUpdate")

    def tags(self, request: Request) -> Document:
        return {"tags": {}}


def update(kind: str) -> Document:
    """An update that has succeeded."""
    return {
        "update": {
            "id": str(uuid4()),
            "status": "Successful",
            "type": kind,
            "params": [],
            "createdAt": time.time(),
            "errors": [],
        }
    }


Handler = Callable[[Eks, Request], Document]
CLUSTER = r"/clusters/([^/]+)"

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", r"/clusters", Eks.create_cluster),
    ("GET", CLUSTER, Eks.describe_cluster),
    ("DELETE", CLUSTER, Eks.delete_cluster),
    ("POST", CLUSTER + "/updates", Eks.update_version),
    ("POST", CLUSTER + "/update-config", Eks.update_config),
    ("GET", CLUSTER + "/updates/([^/]+)", Eks.describe_update),
    ("POST", CLUSTER + "/node-groups", Eks.create_node_group),
    ("GET", CLUSTER + "/node-groups/([^/]+)", Eks.describe_node_group),
    ("DELETE", CLUSTER + "/node-groups/([^/]+)", Eks.delete_node_group),
    ("POST", CLUSTER + "/node-groups/([^/]+)/update-version", Eks.update_node_group_version),
    ("POST", CLUSTER + "/node-groups/([^/]+)/update-config", Eks.update_node_group_config),
    ("GET", r"/addons/supported-versions", Eks.addon_versions),
    ("POST", CLUSTER + "/addons", Eks.create_addon),
    ("GET", CLUSTER + "/addons/([^/]+)", Eks.describe_addon),
    ("DELETE", CLUSTER + "/addons/([^/]+)", Eks.delete_addon),
    ("POST", CLUSTER + "/addons/([^/]+)/update", Eks.update_addon),
    ("POST", CLUSTER + "/access-entries", Eks.create_access_entry),
    ("GET", CLUSTER + "/access-entries/([^/]+)", Eks.describe_access_entry),
    ("DELETE", CLUSTER + "/access-entries/([^/]+)", Eks.delete_access_entry),
    (
        "POST",
        CLUSTER + "/access-entries/([^/]+)/access-policies",
        Eks.associate_access_policy,
    ),
    ("GET", CLUSTER + "/access-entries/([^/]+)/access-policies", Eks.list_access_policies),
    (
        "DELETE",
        CLUSTER + "/access-entries/([^/]+)/access-policies/([^/]+)",
        Eks.disassociate_access_policy,
    ),
    ("POST", CLUSTER + "/pod-identity-associations", Eks.create_pod_identity),
    ("GET", CLUSTER + "/pod-identity-associations", Eks.list_pod_identities),
    ("GET", CLUSTER + "/pod-identity-associations/([^/]+)", Eks.describe_pod_identity),
    ("DELETE", CLUSTER + "/pod-identity-associations/([^/]+)", Eks.delete_pod_identity),
    ("GET", r"/tags/.*", Eks.tags),
    ("POST", r"/tags/.*", Eks.tags),
    ("DELETE", r"/tags/.*", Eks.tags),
)


def parameter(body: Document) -> Document:
    """The answer to GetParameter. Raises Refused for anything but the release of a node AMI."""
    name = body["Name"]
    pattern = r"/aws/service/eks/optimized-ami/([\d.]+)/amazon-linux-2023/x86_64/standard/"
    match = re.fullmatch(pattern + "recommended/release_version", name)
    if not match:
        raise Refused(400, "ParameterNotFound", name)
    value = f"{match[1]}.0-{RELEASE}"
    return {"Parameter": {"Name": name, "Type": "String", "Value": value, "Version": 1}}


class Server(ThreadingHTTPServer):
    """Serves an `Eks` on a free port of the loopback interface."""

    daemon_threads = True

    def __init__(self, eks: Eks) -> None:
        self.eks = eks
        super().__init__(("127.0.0.1", 0), _Requests)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Do not print each request."""

    def _respond(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        signature = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])
        assert signature, "the request is not signed"
        body = json.loads(content or b"{}")
        request = Request(signature[1], (), parse_qs(url.query), body)
        try:
            if "X-Amz-Target" in self.headers:
                status, answer = 200, parameter(body)
            else:
                status, answer = 200, self.server.eks.answer(self.command, url.path, request)
        except Refused as refused:
            status, answer = refused.status, refused.body
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status != 200:
            self.send_header("X-Amzn-ErrorType", answer["__type"])
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _respond
