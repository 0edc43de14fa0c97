"""A mongodb+srv:// name: it is resolved when it is needed, and a failure of DNS passes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import httpx2
import pytest

from game_api.app import create_app
from game_api.database.connection import Connection
from game_api.database.embedded import EmbeddedDatabase
from game_api.database.errors import LookupFailed
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.apps import running
from tests.service import Service
from tests.waiting import wait_until_async

Start = Callable[..., Service]

CLUSTER, HOST = "cluster.game.test", "database.game.test"


class NameServer(asyncio.DatagramProtocol):
    """A DNS server that knows the servers of the cluster, or does not answer while it is down."""

    def __init__(self, database_port: int, down: bool) -> None:
        self.database_port = database_port
        self.down = down
        self.queries: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        self.queries.append(dns.rdatatype.to_text(question.rdtype))
        if self.down:
            return
        response = dns.message.make_response(query)
        if question.rdtype == dns.rdatatype.SRV:
            record = f"0 0 {self.database_port} {HOST}."
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SRV", record))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), address)


@asynccontextmanager
async def name_server(
    database_port: int, monkeypatch: pytest.MonkeyPatch, down: bool
) -> AsyncIterator[NameServer]:
    """Run a DNS server, which this process uses for the duration of the context."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(database_port, down), local_addr=("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
    addresses = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return addresses("127.0.0.1" if host == HOST else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        yield server
    finally:
        transport.close()


async def test_a_failure_of_dns_is_503_until_it_has_passed(
    server: EmbeddedDatabase, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = uri.rpartition("/")[2].partition("?")[0]
    uri = f"mongodb+srv://{CLUSTER}/{name}?tls=false"
    async with (
        name_server(server.port, monkeypatch, down=True) as dns_server,
        running(create_app(Runtime(Settings()), uri)) as app,
    ):
        requests = [app.client.get("/api/v1/players/ada") for _ in range(5)]
        pending = asyncio.gather(*requests)
        ready = await app.client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "database_unavailable")
        assert not pending.done(), "a health check does not wait as long as they do"
        assert (await app.client.get("/health")).status_code == 200
        for response in await pending:
            assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
        dns_server.down = False

        async def responds() -> bool:
            return (await app.client.get("/api/v1/players/ada")).status_code == 404

        await wait_until_async(responds)


async def test_commands_share_one_lookup(
    server: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"mongodb+srv://{CLUSTER}/?tls=false"
    async with (
        name_server(server.port, monkeypatch, down=False) as dns_server,
        running(create_app(Runtime(Settings()), uri)) as app,
    ):
        connection = app.objects[Connection]
        commands = (connection.run("ping", lambda d: d.command("ping")) for _ in range(20))
        assert [answer["ok"] for answer in await asyncio.gather(*commands)] == [1.0] * 20
        assert sorted(dns_server.queries) == ["SRV", "TXT"]


async def test_a_command_waits_for_dns_no_longer_than_its_patience(
    server: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"mongodb+srv://{CLUSTER}/?tls=false"
    async with (
        name_server(server.port, monkeypatch, down=True),
        running(create_app(Runtime(Settings()), uri)) as app,
    ):
        with pytest.raises(LookupFailed, match="the name is still being resolved"):
            await app.objects[Connection].run("ping", lambda d: d.command("ping"), 0.05)


def test_the_service_starts_and_stops_without_dns(start_service: Start) -> None:
    uri = "mongodb+srv://user:hunter2@cluster.game.invalid/"  # checkov:skip=CKV_SECRET_4:made up
    service = start_service(GAME_API_MONGODB_URI=uri).wait_until_ready()
    response = httpx2.get(f"{service.address}/api/v1/players/ada", timeout=10)
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert httpx2.get(f"{service.address}/health/ready", timeout=10).status_code == 503
    assert httpx2.get(f"{service.address}/health").status_code == 200
    assert service.terminate() == 0, service.output
    assert "LookupFailed" in service.output and "hunter2" not in service.output
