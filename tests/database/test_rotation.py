"""Rotation: the password of DocumentDB changes in Secrets Manager while the service runs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
import httpx2
import pytest
from pymongo.errors import OperationFailure
from pymongo.monitoring import ConnectionPoolListener, PoolClosedEvent, PoolCreatedEvent

from game_api.app import MODELS, create_app
from game_api.database.client import Database, connect, database_uri
from game_api.database.connection import Connection
from game_api.database.credentials import Secret
from game_api.database.errors import CredentialsError
from game_api.database.indexes import create_indexes
from game_api.database.rotation import READ_INTERVAL
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.apps import running
from tests.aws import SecretsManager, hung
from tests.conftest import Lines
from tests.database.documentdb_cluster import DocumentDbCluster
from tests.service import Service
from tests.waiting import wait_until_async

Start = Callable[..., Service]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentDbCluster]:
    with DocumentDbCluster(tmp_path_factory.mktemp("cluster")).running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[SecretsManager]:
    secrets_manager = SecretsManager()
    secrets_manager.start()
    yield secrets_manager
    secrets_manager.stop()


class Pools(ConnectionPoolListener):
    """Counts the connection pools of the driver. Each client has one."""

    created = closed = 0

    def ignored(self, event: Any) -> None: ...

    pool_ready = pool_cleared = connection_created = connection_ready = connection_closed = ignored
    connection_check_out_started = connection_check_out_failed = ignored
    connection_checked_out = connection_checked_in = ignored

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
        """The state of the database according to /health/detailed."""
        detailed = await self.http.get("/health/detailed")
        database: dict[str, Any] = detailed.json()["components"]["database"]
        assert detailed.status_code == (200 if database["status"] == "ok" else 503)
        return database


@dataclass
class Rotation:
    """A database user, the secret with the user's password, and the settings for both."""

    cluster: DocumentDbCluster
    secrets_manager: SecretsManager
    port: int
    user: str = field(default_factory=lambda: f"user-{uuid4().hex[:8]}")
    arn: str = ""
    reads: int = 0
    """How many times the service has read the secret."""

    def set_secret(self, password: str) -> None:
        value = json.dumps({"username": self.user, "password": password, "engine": "docdb"})
        if self.arn:
            self.secrets_manager.put(self.arn, value)
        else:
            self.arn = self.secrets_manager.create(value)

    def set_database(self, password: str) -> None:
        self.cluster.set_password(self.user, password)

    def rotate(self, password: str) -> None:
        self.set_secret(password)
        self.set_database(password)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables for the service."""
        return {
            "GAME_API_DOCUMENTDB_HOST": "127.0.0.1",
            "GAME_API_DOCUMENTDB_PORT": str(self.port),
            "GAME_API_DOCUMENTDB_CA_FILE": str(self.cluster.certificate),
            "GAME_API_DOCUMENTDB_SECRET_ARN": self.arn,
            "GAME_API_DATABASE": self.user,
        }

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """Run the service in this process."""
        names = {k.removeprefix("GAME_API_").lower(): v for k, v in self.variables.items()}
        settings = Settings.model_validate(names)
        runtime = Runtime(settings)
        pools = Pools()
        async with running(create_app(runtime, database_uri(settings), [pools])) as app:
            yield Api(app.client, app.objects[Connection], pools)


@pytest.fixture
async def rotation(
    cluster: DocumentDbCluster, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rotation]:
    for name, value in secrets_manager.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session()
    async with cluster.endpoint() as port:
        rotation = Rotation(cluster, secrets_manager, port)
        with cluster.administrator() as client:  # Without these the service is not ready.
            players = client[rotation.user].players
            players.create_index("username_key", name="username_key", unique=True)
            players.create_index("birth", name="birth", unique=True, sparse=True)

        def count_read(**_: Any) -> None:
            rotation.reads += 1

        session = boto3.DEFAULT_SESSION
        session.events.register("before-send.secrets-manager.GetSecretValue", count_read)
        yield rotation


def warnings(log_lines: Lines) -> list[str]:
    """The warnings of the service."""
    entries = [entry for entry in log_lines.entries if entry["logger"].startswith("game_api")]
    return [entry["message"] for entry in entries if entry["level"] == "warning"]


def assert_unavailable(response: httpx2.Response) -> None:
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_a_rotation_under_load_fails_no_request(rotation: Rotation) -> None:
    rotation.rotate("first-password")
    async with rotation.api() as api:
        body = {"name": "s", "game_mode": "duel", "max_players": 64}
        session = (await api.http.post("/api/v1/sessions", json=body)).json()
        path = f"/api/v1/sessions/{session['session_id']}"
        assert (rotation.reads, api.pools.created) == (1, 1)
        # The secret may be read again only after this time. GET /health/ready, which is part of the
        # load, waits for a shorter time.
        await asyncio.sleep(READ_INTERVAL)
        rotation.rotate("second-password")
        # Only one connection is open. These requests need more, which the server refuses.
        responses = await asyncio.gather(
            *(api.add_player() for _ in range(60)),
            *(api.http.put(path, json={"name": f"n{n}"}) for n in range(20)),
            *(api.http.get(path) for _ in range(60)),
            api.http.get("/health/ready"),
        )
        assert {response.status_code for response in responses} == {200, 201}
        assert (rotation.reads, api.pools.created) == (2, 2)
        assert (await api.http.get(path)).json()["version"] == 21
        assert (await api.database())["status"] == "ok"
        await wait_until_async(lambda: api.pools.closed == 1)
    assert api.pools.closed == 2


async def test_the_old_client_is_closed_when_its_last_command_has_ended(rotation: Rotation) -> None:
    rotation.rotate("first-password")
    started, proceed = asyncio.Event(), asyncio.Event()

    async def count_slowly(database: Database) -> int:
        cursor = database.things.find({}, batch_size=2)
        documents = [await anext(cursor)]
        started.set()
        await proceed.wait()
        return len(documents + await cursor.to_list())

    async with rotation.api() as api:
        await api.connection.run(
            "insert", lambda database: database.things.insert_many([{"_id": n} for n in range(5)])
        )
        count = asyncio.create_task(api.connection.run("find", count_slowly))
        await started.wait()
        rotation.rotate("second-password")
        responses = await asyncio.gather(*(api.add_player() for _ in range(20)))
        assert {response.status_code for response in responses} == {201}
        assert (api.pools.created, api.pools.closed) == (2, 0)
        proceed.set()
        assert await count == 5
        await wait_until_async(lambda: api.pools.closed == 1)


SAME_SECRET = "the credentials are refused: the secret still holds the refused credentials"


@pytest.mark.parametrize("first", ["database", "secret"])
async def test_a_delay_between_database_and_secret_fails_no_request(
    rotation: Rotation, log_lines: Lines, first: str
) -> None:
    rotation.rotate("first-password")
    if first == "secret":
        rotation.set_secret("second-password")  # The service reads it when it starts.
    async with rotation.api() as api:
        if first == "database":
            await api.add_player()
            rotation.set_database("second-password")
        requests = asyncio.gather(*(api.add_player() for _ in range(40)))
        # The credentials are refused, and the secret is read again without success.
        await wait_until_async(lambda: warnings(log_lines) != [])
        assert warnings(log_lines) == [f"the database can't be used: {SAME_SECRET}"]
        assert rotation.reads == 2
        if first == "database":
            rotation.set_secret("second-password")
        else:
            rotation.set_database("second-password")
        assert {response.status_code for response in await requests} == {201}
        assert rotation.reads <= 3


async def test_a_wrong_password_is_503_until_it_is_corrected(
    rotation: Rotation, log_lines: Lines
) -> None:
    rotation.rotate("right-password")
    rotation.set_secret("wrong-password")
    async with rotation.api() as api:
        started = time.monotonic()
        ready = api.http.get("/health/ready")
        for response in await asyncio.gather(ready, *(api.add_player() for _ in range(40))):
            assert_unavailable(response)
        assert await api.database() == {"status": "down", "detail": SAME_SECRET}
        seconds = time.monotonic() - started
        assert seconds < 5
        assert 2 <= rotation.reads <= 1 + seconds
        assert warnings(log_lines) == [f"the database can't be used: {SAME_SECRET}"]
        rotation.set_secret("right-password")
        assert (await api.add_player()).status_code == 201
        assert (await api.http.get("/health/ready")).status_code == 200


async def test_the_service_starts_without_secrets_manager_and_recovers_once_it_responds(
    rotation: Rotation, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation.set_database("the-password")
    rotation.arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:game"
    rotation.secrets_manager = SecretsManager()
    for name, value in rotation.secrets_manager.environment.items():
        monkeypatch.setenv(name, value)
    async with rotation.api() as api:
        assert_unavailable(await api.http.get("/health/ready"))
        assert (await api.http.get("/health")).status_code == 200
        reason = "no credentials: the secret can't be read (EndpointConnectionError)"
        assert await api.database() == {"status": "down", "detail": reason}
        assert warnings(log_lines) == [f"the database can't be used: {reason}"]
        await asyncio.to_thread(rotation.secrets_manager.start)
        try:
            client = rotation.secrets_manager.client_of("secretsmanager")
            # checkov:skip=CKV_SECRET_6:made up
            value = json.dumps({"username": rotation.user, "password": "the-password"})
            client.create_secret(Name="game", SecretString=value)

            async def is_ready() -> bool:
                return (await api.http.get("/health/ready")).status_code == 200

            await wait_until_async(is_ready)
            assert (await api.add_player()).status_code == 201
        finally:
            rotation.secrets_manager.stop()


async def test_a_hung_secrets_manager_does_not_block_requests(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation.rotate("the-password")
    with hung() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
        async with rotation.api() as api:
            started = time.monotonic()
            player = asyncio.create_task(api.add_player())
            assert_unavailable(await api.http.get("/health/ready"))
            assert time.monotonic() - started < 1.5
            assert (await api.database())["detail"] == (
                "no credentials: the secret is still being read"
            )
            assert_unavailable(await player)
            assert time.monotonic() - started < 5


async def test_a_secret_without_credentials_is_reported(rotation: Rotation) -> None:
    redacted: list[str] = []
    for value in ("nonsense", "{}", '{"username": "u", "password": 1234}', '["u", "p"]'):
        secret = Secret(rotation.secrets_manager.create(value), redacted.append)
        with pytest.raises(CredentialsError, match="^the secret holds no username and password$"):
            await secret.read()
    assert redacted == []


async def test_a_refused_password_from_the_settings_is_503(cluster: DocumentDbCluster) -> None:
    # checkov:skip=CKV_SECRET_4:made up
    uri = f"mongodb://nobody:hunter2@127.0.0.1:{cluster.port}/?directConnection=true"
    async with running(create_app(Runtime(Settings()), uri)) as app:
        assert_unavailable(await app.client.get("/api/v1/players/ada"))


def test_a_refused_password_is_no_failure_of_an_index(cluster: DocumentDbCluster) -> None:
    # checkov:skip=CKV_SECRET_4:made up
    uri = f"mongodb://nobody:hunter2@127.0.0.1:{cluster.port}/?directConnection=true"

    async def create() -> None:
        async with connect(uri) as client:
            await create_indexes(client.game, MODELS)

    with pytest.raises(OperationFailure, match="authentication failed"):
        asyncio.run(create())


async def test_serving_and_creating_indexes_use_the_secret_and_never_log_it(
    rotation: Rotation, start_service: Start
) -> None:
    rotation.rotate("first-password")
    variables = rotation.variables | {"GAME_API_LOG_LEVEL": "debug", "GAME_API_PORT": "0"}
    wrong_arn = {"GAME_API_DOCUMENTDB_SECRET_ARN": rotation.arn.replace("secret:", "secret:no")}
    failing = Service(variables | wrong_arn, "create-indexes")
    command = Service(variables, "create-indexes")
    service = start_service(**variables)
    assert await asyncio.to_thread(command.wait) == 0, command.output
    assert "players.username_key\n" in command.output
    await asyncio.to_thread(service.wait_until_ready)
    async with httpx2.AsyncClient(base_url=service.address, timeout=10) as http:
        for _ in range(2):
            responses = await asyncio.gather(*(http.get("/api/v1/players") for _ in range(20)))
            assert {response.status_code for response in responses} == {200}
            rotation.rotate("second-password")
        # Nothing else would bring a password into a log line.
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
