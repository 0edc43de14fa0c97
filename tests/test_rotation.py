"""DocumentDB's password comes from Secrets Manager, and changes while the service runs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
import httpx2
import pytest
from pymongo.monitoring import PoolClosedEvent, PoolCreatedEvent

from game_api.app import Process, create_app
from game_api.connection import Connection
from game_api.credentials import Secret
from game_api.database import Database, database_uri
from game_api.errors import CredentialsError
from game_api.monitoring import DatabaseMonitor
from game_api.rotation import READ_PAUSE
from game_api.settings import Settings
from tests.aws import SecretsManager, hung
from tests.cluster import Cluster
from tests.conftest import Lines, with_state
from tests.service import Service

Start = Callable[..., Service]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[SecretsManager]:
    secrets_manager = SecretsManager()
    secrets_manager.start()
    yield secrets_manager
    secrets_manager.stop()


class Pools(DatabaseMonitor):
    """Counts the driver's pools: one for each client that was used."""

    created = closed = 0

    def pool_created(self, event: PoolCreatedEvent) -> None:
        self.created += 1

    def pool_closed(self, event: PoolClosedEvent) -> None:
        self.closed += 1


@dataclass
class Api:
    """The service in this process."""

    http: httpx2.AsyncClient
    connection: Connection
    pools: Pools

    async def add_player(self) -> httpx2.Response:
        name = f"p-{uuid4().hex[:12]}"
        body = {"username": name, "player_id": name}
        return await self.http.post("/api/v1/players", json=body)

    async def database(self) -> dict[str, Any]:
        """What /health/detailed says about it."""
        detailed = await self.http.get("/health/detailed")
        database: dict[str, Any] = detailed.json()["components"]["database"]
        assert detailed.status_code == (200 if database["status"] == "ok" else 503)
        return database


@dataclass
class World:
    """A user of the cluster, the secret with the user's password, and the settings for both."""

    cluster: Cluster
    secrets_manager: SecretsManager
    port: int
    user: str = field(default_factory=lambda: f"user-{uuid4().hex[:8]}")
    arn: str = ""
    reads: int = 0

    def secret_becomes(self, password: str) -> None:
        value = json.dumps({"username": self.user, "password": password, "engine": "docdb"})
        if self.arn:
            self.secrets_manager.put(self.arn, value)
        else:
            self.arn = self.secrets_manager.create(value)

    def database_becomes(self, password: str) -> None:
        self.cluster.set_password(self.user, password)

    def rotate(self, password: str) -> None:
        self.secret_becomes(password)
        self.database_becomes(password)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "GAME_API_DOCUMENTDB_HOST": "127.0.0.1",
            "GAME_API_DOCUMENTDB_PORT": str(self.port),
            "GAME_API_DOCUMENTDB_CA_FILE": str(self.cluster.certificate),
            "GAME_API_DOCUMENTDB_SECRET_ARN": self.arn,
            "GAME_API_DATABASE": self.user,
        }

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        names = {k.removeprefix("GAME_API_").lower(): v for k, v in self.variables.items()}
        settings = Settings.model_validate(names)
        process = Process()
        pools = Pools(process.metrics)
        app = create_app(settings, database_uri(settings), process, [pools])
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(app.router.lifespan_context(app))
            assert state is not None
            transport = httpx2.ASGITransport(with_state(app, dict(state)))
            client = httpx2.AsyncClient(transport=transport, base_url="http://game-api")
            http = await stack.enter_async_context(client)
            yield Api(http, state["connection"], pools)


@pytest.fixture
async def world(
    cluster: Cluster, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    for name, value in secrets_manager.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session()
    async with cluster.endpoint() as port:
        world = World(cluster, secrets_manager, port)

        def count(**_: Any) -> None:
            world.reads += 1

        session = boto3.DEFAULT_SESSION
        session.events.register("before-send.secrets-manager.GetSecretValue", count)
        yield world


def told(log_lines: Lines) -> list[str]:
    """What the service warns of."""
    entries = [entry for entry in log_lines.entries if entry["logger"].startswith("game_api")]
    return [entry["message"] for entry in entries if entry["level"] == "warning"]


async def wait_for(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    # No timeout, which cancels: the app answers a request that is cancelled, and all goes on.
    deadline = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def assert_unavailable(response: httpx2.Response) -> None:
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_a_rotation_under_load_fails_no_request(world: World) -> None:
    world.rotate("first-password")
    async with world.api() as api:
        body = {"name": "s", "game_mode": "duel", "max_players": 64}
        session = (await api.http.post("/api/v1/sessions", json=body)).json()
        path = f"/api/v1/sessions/{session['session_id']}"
        assert (world.reads, api.pools.created) == (1, 1)
        await asyncio.sleep(READ_PAUSE)  # which /health/ready has no time for
        world.rotate("second-password")
        # One connection is there; so many at once need new ones, which are refused.
        answers = await asyncio.gather(
            *(api.add_player() for _ in range(60)),
            *(api.http.put(path, json={"name": f"n{n}"}) for n in range(20)),
            *(api.http.get(path) for _ in range(60)),
            api.http.get("/health/ready"),
        )
        assert {answer.status_code for answer in answers} == {200, 201}
        assert (world.reads, api.pools.created) == (2, 2)
        assert (await api.http.get(path)).json()["version"] == 21
        assert (await api.database())["status"] == "ok"
        await wait_for_pools(api, closed=1)
    assert api.pools.closed == 2


async def wait_for_pools(api: Api, closed: int) -> None:
    async def are_closed() -> bool:
        return api.pools.closed == closed

    await wait_for(are_closed)


async def test_the_old_client_is_closed_when_its_last_command_has_ended(world: World) -> None:
    world.rotate("first-password")
    began, release = asyncio.Event(), asyncio.Event()

    async def slow(database: Database) -> int:
        cursor = database.things.find({}, batch_size=2)
        found = [await anext(cursor)]
        began.set()
        await release.wait()
        return len(found + await cursor.to_list())

    async with world.api() as api:
        await api.connection.run(
            lambda database: database.things.insert_many([{"_id": n} for n in range(5)])
        )
        old = asyncio.create_task(api.connection.run(slow))
        await began.wait()
        world.rotate("second-password")
        answers = await asyncio.gather(*(api.add_player() for _ in range(20)))
        assert {answer.status_code for answer in answers} == {201}
        assert (api.pools.created, api.pools.closed) == (2, 0)
        release.set()
        assert await old == 5
        await wait_for_pools(api, closed=1)


@pytest.mark.parametrize("first", ["database", "secret"])
async def test_a_lag_between_database_and_secret_fails_no_request(world: World, first: str) -> None:
    world.rotate("first-password")
    change = [world.database_becomes, world.secret_becomes]
    if first == "secret":
        change.reverse()
        change[0]("second-password")  # before the service reads it
    async with world.api() as api:
        if first == "database":
            await api.add_player()
            change[0]("second-password")
        requests = asyncio.gather(*(api.add_player() for _ in range(40)))
        await asyncio.sleep(0.8)
        change[1]("second-password")
        assert {answer.status_code for answer in await requests} == {201}
        assert world.reads <= 4


async def test_a_wrong_password_is_503_until_it_is_put_right(
    world: World, log_lines: Lines
) -> None:
    world.rotate("right-password")
    world.secret_becomes("wrong-password")
    async with world.api() as api:
        started = time.monotonic()
        ready = api.http.get("/health/ready")
        answers = await asyncio.gather(ready, *(api.add_player() for _ in range(40)))
        for answer in answers:
            assert_unavailable(answer)
        reason = "the credentials are refused: the secret holds no others"
        assert await api.database() == {"status": "down", "detail": reason}
        took = time.monotonic() - started
        assert took < 5
        assert 2 <= world.reads <= 1 + took
        assert told(log_lines) == [f"the database can't be used: {reason}"]
        world.secret_becomes("right-password")
        assert (await api.add_player()).status_code == 201
        assert (await api.http.get("/health/ready")).status_code == 200


async def test_without_secrets_manager_it_starts_and_heals_when_that_is_back(
    world: World, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.database_becomes("the-password")
    world.arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:game"
    world.secrets_manager = SecretsManager()
    for name, value in world.secrets_manager.environment.items():
        monkeypatch.setenv(name, value)
    async with world.api() as api:
        assert_unavailable(await api.http.get("/health/ready"))
        assert (await api.http.get("/health")).status_code == 200
        reason = "no credentials: the secret can't be read (EndpointConnectionError)"
        assert await api.database() == {"status": "down", "detail": reason}
        assert told(log_lines) == [f"the database can't be used: {reason}"]
        await asyncio.to_thread(world.secrets_manager.start)
        try:
            client = world.secrets_manager.client_of("secretsmanager")
            # checkov:skip=CKV_SECRET_6:made up
            value = json.dumps({"username": world.user, "password": "the-password"})
            client.create_secret(Name="game", SecretString=value)

            async def is_ready() -> bool:
                return (await api.http.get("/health/ready")).status_code == 200

            await wait_for(is_ready)
            assert (await api.add_player()).status_code == 201
        finally:
            world.secrets_manager.stop()


async def test_a_hung_secrets_manager_holds_no_request_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rotate("the-password")
    with hung() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
        async with world.api() as api:
            started = time.monotonic()
            player = asyncio.create_task(api.add_player())
            assert_unavailable(await api.http.get("/health/ready"))
            assert time.monotonic() - started < 1.5
            assert (await api.database())["detail"] == (
                "no credentials: the secret is still being read"
            )
            assert_unavailable(await player)
            assert time.monotonic() - started < 5


async def test_a_secret_without_credentials_is_told(world: World) -> None:
    hidden: list[str] = []
    for value in ("nonsense", "{}", '{"username": "u", "password": 1234}', '["u", "p"]'):
        secret = Secret(world.secrets_manager.create(value), hidden.append)
        with pytest.raises(CredentialsError, match="^the secret holds no username and password$"):
            await secret.read()
    assert hidden == []


async def test_a_refused_password_that_is_a_setting_is_503(cluster: Cluster) -> None:
    # checkov:skip=CKV_SECRET_4:made up
    uri = f"mongodb://nobody:hunter2@127.0.0.1:{cluster.port}/?directConnection=true"
    app = create_app(Settings(), uri, Process())
    async with app.router.lifespan_context(app) as state:
        transport = httpx2.ASGITransport(with_state(app, dict(state or {})))
        async with httpx2.AsyncClient(transport=transport, base_url="http://game-api") as http:
            assert_unavailable(await http.get("/api/v1/players/ada"))


async def test_the_process_and_its_command_use_the_secret_and_never_show_it(
    world: World, start_service: Start
) -> None:
    world.rotate("first-password")
    variables = world.variables | {"GAME_API_LOG_LEVEL": "debug", "GAME_API_PORT": "0"}
    lost = {"GAME_API_DOCUMENTDB_SECRET_ARN": world.arn.replace("secret:", "secret:no")}
    failing = Service(variables | lost, "create-indexes")
    command = Service(variables, "create-indexes")
    service = start_service(**variables)
    assert await asyncio.to_thread(command.wait) == 0, command.output
    assert "players.username_key\n" in command.output
    await asyncio.to_thread(service.wait_until_ready)
    async with httpx2.AsyncClient(base_url=service.address, timeout=10) as http:
        for number in range(1, 3):
            answers = await asyncio.gather(*(http.get("/api/v1/players") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            world.rotate("second-password")
        # A path with the password in it is the only way that it gets near a line.
        await http.get("/first-password/second-password")
    assert await asyncio.to_thread(service.terminate) == 0, service.output
    assert await asyncio.to_thread(failing.wait) == 1
    assert failing.lines[-1] == (
        "game-api: can't create the indexes: no credentials: the secret can't be read "
        "(ResourceNotFoundException)\n"
    )
    output = command.output + service.output
    assert "first-password" not in output and "second-password" not in output
    assert "/***/***" in output
