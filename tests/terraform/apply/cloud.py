"""A simulated AWS: moto's server with DocumentDB in a process of its own, and a stand-in for EKS.

`python -m tests.terraform.apply.cloud PORT` is that process.
"""

import os
import subprocess
import sys
from types import TracebackType
from typing import Any

import boto3

from tests.service import free_port
from tests.terraform.apply.eks import Eks, Server
from tests.waiting import holds_within

START_SECONDS = 60


class Cloud:
    """An empty AWS account. It is gone when the context ends."""

    def __init__(self, account: str) -> None:
        self.account = account
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._moto = subprocess.Popen(
            [sys.executable, "-m", __name__, str(port)],
            env={
                **os.environ,
                "MOTO_ACCOUNT_ID": account,
                "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.eks = Eks(account, self.endpoint)
        self._server = Server(self.eks)

    @property
    def eks_endpoint(self) -> str:
        """Where EKS and the parameters of Systems Manager are."""
        return self._server.endpoint

    def client(self, service: str, region: str = "eu-central-1") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def __enter__(self) -> "Cloud":
        assert holds_within(self._answers, START_SECONDS), "moto does not answer"
        return self

    def _answers(self) -> bool:
        assert self._moto.poll() is None, "moto has ended"
        try:
            return bool(self.client("sts").get_caller_identity()["Account"] == self.account)
        except Exception:  # Until it listens, each attempt fails in one of several ways.
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._moto.kill()
        self._moto.wait()


def serve(port: int) -> None:
    """Run moto's server until the process is killed, with the engine `docdb`, which it lacks."""
    from moto.rds import models, utils
    from moto.server import main

    engines = utils.ClusterEngine.list_cluster_engines()
    instance_engines = utils.DbInstanceEngine.valid_db_instance_engine()
    for enumeration, name, known in (
        (utils.ClusterEngine, "list_cluster_engines", engines),
        (utils.DbInstanceEngine, "valid_db_instance_engine", instance_engines),
    ):
        setattr(enumeration, name, staticmethod(lambda known=known: [*known, "docdb"]))
    for kind in (models.DBCluster, models.DBInstance):
        setattr(kind, "default_port", staticmethod(lambda engine: 27017))
        setattr(kind, "default_allocated_storage", staticmethod(lambda engine, storage_type: 1))
    setattr(models.DBCluster, "default_engine_version", staticmethod(lambda engine: "5.0.0"))
    main(["-H", "127.0.0.1", "-p", str(port)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
