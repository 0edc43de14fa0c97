"""The command line: `game-api` serves, `game-api create-indexes` prepares the database."""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry, start_http_server
from pymongo.errors import PyMongoError

from game_api import __version__
from game_api.app import Process, create_app
from game_api.connection import connection
from game_api.database import check_connection_options, connect, create_indexes, database_uri
from game_api.embedded import EmbeddedDatabaseError, embedded_database
from game_api.errors import CredentialsError
from game_api.logs import configure
from game_api.metrics import Metrics
from game_api.settings import Settings, SettingsError, load_settings

log = logging.getLogger("game_api")

KEEP_ALIVE = 75
"""Seconds that a connection may be idle. More than the 60 of AWS's load balancers, which otherwise
send a request on a connection that is being closed, and answer 502."""

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2

WELCOME = """\
game-api {version} listens on {address}
  docs   {address}/docs
  data   {database}
  try    curl -sS {address}/api/v1/players \\
           -H 'Content-Type: application/json' -d '{{"username": "ada"}}'
"""


class CommandError(Exception):
    """A command can't go on; the text is for the person who gave it."""


class Server(uvicorn.Server):
    """uvicorn, which tells the app of its end before it begins, and leaves the exit to us."""

    def __init__(self, config: uvicorn.Config, process: Process, delay: float) -> None:
        super().__init__(config)
        self.process = process
        self.delay = delay

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal once more when it is done, which would end the process
        # before the database is stopped, and not with 0.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """The first signal begins the shutdown, the second one ends the waiting."""
        if self.process.stopping:
            self.should_exit = self.force_exit = True
        else:
            self.process.stopping = True
            self.say_goodbye()
            asyncio.get_running_loop().call_later(self.delay, self.exit)

    def say_goodbye(self) -> None:
        """Have every answer end its connection: whoever keeps some meets the end on none of them.

        uvicorn closes idle connections when it shuts down, and a request may be on its way on one.
        """
        close = (b"connection", b"close")
        self.server_state.default_headers.append(close)
        self.config.encoded_headers.append(close)  # of which uvicorn makes them, each second

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn's own leaves the app hanging then
            await self.lifespan.shutdown()

    def exit(self) -> None:
        self.should_exit = True


def bind(settings: Settings) -> socket.socket:
    """Listen where the settings say, before anything else is started. Raises CommandError."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (while attempting")[0]
        raise CommandError(
            f"can't listen on {settings.host}:{settings.port}: {reason}; "
            "set GAME_API_HOST or GAME_API_PORT"
        ) from None


@contextlib.asynccontextmanager
async def prepared_database(settings: Settings) -> AsyncIterator[str]:
    """The URI of the database; the embedded one is started, with its indexes."""
    if not settings.embedded:
        yield database_uri(settings)
        return
    async with embedded_database(settings.data_dir) as database:
        async with connect(database.uri) as client:
            await create_indexes(client.get_default_database(settings.database))
        yield database.uri


async def serve(settings: Settings, process: Process) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in flight."""
    with bind(settings) as listener, prometheus(settings, process.metrics):
        async with prepared_database(settings) as uri:
            await serve_on(listener, uri, settings, process)


async def serve_on(listener: socket.socket, uri: str, settings: Settings, process: Process) -> None:
    config = uvicorn.Config(
        create_app(settings, uri, process),
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if process.logs.readable:
        database = f"{settings.data_dir}/ (embedded)" if settings.embedded else "as configured"
        print(WELCOME.format(version=__version__, address=address, database=database), flush=True)
    else:
        log.info("game-api %s listens on %s", __version__, address)
    await Server(config, process, settings.shutdown_delay).serve(sockets=[listener])


@contextlib.contextmanager
def prometheus(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """GET /metrics for Prometheus, on a port of its own, if asked for. Raises CommandError."""
    if settings.metrics_port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        raise CommandError(
            f"can't listen on {settings.host}:{settings.metrics_port}: {error.strerror}; "
            "set GAME_API_METRICS_PORT"
        ) from None
    log.info("metrics for Prometheus at http://%s:%d/metrics", *server.server_address[:2])
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def make_indexes(settings: Settings, process: Process) -> None:
    """Create the indexes that are missing, and say which there are. Raises CommandError."""
    async with (
        prepared_database(settings) as uri,
        connection(settings, uri, process.logs) as database,
    ):
        try:
            names = await database.run(create_indexes)
        except CredentialsError as error:
            raise CommandError(f"can't create the indexes: {error}") from error
        except PyMongoError as error:
            raise CommandError(f"can't create the indexes: {type(error).__name__}") from error
    for name in names:
        print(name)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="game-api",
        description="Players and game sessions over REST.",
        epilog="Settings are GAME_API_* environment variables; docs/settings.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"game-api {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve the API (what is done without a command)")
    commands.add_parser("create-indexes", help="create the database's indexes; safe to repeat")
    return parser.parse_args()


def main() -> None:
    """Run a command; exit with 2 for bad settings, 1 when it fails, 0 when it is done."""
    command = make_indexes if arguments().command == "create-indexes" else serve
    metrics = Metrics()
    try:
        settings = load_settings()
        check_connection_options(settings)
        logs = configure(settings, metrics)
    except SettingsError as error:
        for mistake in error.mistakes:
            print(f"game-api: {mistake}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(command(settings, Process(metrics, logs)))
    except (CommandError, EmbeddedDatabaseError) as error:
        print(f"game-api: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        logs.close()


if __name__ == "__main__":
    main()
