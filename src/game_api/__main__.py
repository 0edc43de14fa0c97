"""The command line: `game-api` serves the API, and other commands prepare and describe it."""

import argparse
import asyncio
import contextlib
import functools
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import pymongo
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry, start_http_server
from pymongo.errors import PyMongoError

from game_api import __version__
from game_api.access.caller import ROLES, Caller
from game_api.access.policy import table
from game_api.access.tokens import MAX_SUBJECT, mint, valid_subject
from game_api.app import create_app, prepare_database
from game_api.database.client import (
    Database,
    check_connection_options,
    connect,
    database_uri,
)
from game_api.database.connection import Connection, open_connection
from game_api.database.embedded import EmbeddedDatabaseError, embedded_database
from game_api.database.errors import CredentialsError, is_unavailable
from game_api.database.indexes import IndexesFailed
from game_api.http.protocol import Http11Protocol
from game_api.observability.logs import configure
from game_api.observability.metrics import Metrics
from game_api.runtime import Lifecycle, Runtime
from game_api.settings import Settings, SettingsError, load_settings

log = logging.getLogger("game_api")

KEEP_ALIVE = 75
"""The number of seconds that a connection may be idle.

It is longer than the 60 s of AWS load balancers. Otherwise a load balancer might send a request on
a connection that is just being closed, and respond with 502."""

INDEX_SECONDS = 200.0
"""How long the creation of the indexes may take.

The job in the cluster has 300 s for its start, its wait for the database and this."""

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2

WELCOME = """\
game-api {version} listens on {address}
  docs   {address}/docs
  data   {database}
  try    curl -sS {address}/api/v1/players \\
           -H 'Content-Type: application/json' -d '{{"username": "ada"}}'
"""

NO_AUTHENTICATION = (
    "AUTHENTICATION IS OFF: whoever reaches this address may read and change everything; "
    "set GAME_API_AUTH=jwt to require tokens"
)


class CommandError(Exception):
    """A command has failed; the text tells the user why."""


class Server(uvicorn.Server):
    """A uvicorn server that announces its shutdown and stops `delay` seconds later."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, delay: float) -> None:
        super().__init__(config)
        self.lifecycle = lifecycle
        self.delay = delay

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The original raises the signal again after the shutdown. That would end the process before
        # the database is stopped, and with another exit code than 0.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup` starts a process that ignores SIGHUP, and it should go on doing so.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Begin the shutdown at the first signal; at the second one, do not wait for requests."""
        if self.lifecycle.shutdown.is_set():
            self.should_exit = self.force_exit = True
        else:
            self.lifecycle.shutdown.set()
            self.announce_close()
            asyncio.get_running_loop().call_later(self.delay, self.exit)

    def announce_close(self) -> None:
        """Add `Connection: close` to every response from now on.

        uvicorn closes idle connections when it shuts down, and a client may be sending a request on
        one of them. After this header, a client opens a new connection instead.
        """
        close = (b"connection", b"close")
        self.server_state.default_headers.append(close)
        # uvicorn renews the default headers from these every second.
        self.config.encoded_headers.append(close)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Modules and routes live as long as the process. Without this, every full collection would
        # visit all of their objects, and delay the requests in flight by tens of milliseconds.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.stop_listening(sockets or [])
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn then skips the shutdown of the app.
            await self.lifespan.shutdown()

    async def stop_listening(self, sockets: list[socket.socket]) -> None:
        """Close the sockets, but accept the connections that are already open for the clients.

        The operating system would reset them. Their clients may have sent a request.
        """
        accepted = []
        for listener in sockets:
            with contextlib.suppress(OSError):  # Until none is left.
                while True:
                    accepted.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Http11Protocol(self.config, self.server_state, self.lifespan.state),
                connection,
            )

    def exit(self) -> None:
        self.should_exit = True


def bind(settings: Settings) -> socket.socket:
    """Listen on the configured address, before anything else is started. Raises CommandError."""
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
    """The URI of the database. The embedded one is started and gets its indexes."""
    if not settings.embedded:
        yield database_uri(settings)
        return
    async with embedded_database(settings.data_dir) as database:
        async with connect(database.uri) as client:
            # A process that lacks a unique index starts, but its readiness check names the index.
            with contextlib.suppress(IndexesFailed):
                try:
                    await prepare_database(client.get_default_database(settings.database), settings)
                except PyMongoError as error:
                    raise CommandError(
                        f"can't prepare the embedded database: {type(error).__name__}; "
                        f"see {settings.data_dir}/database.log"
                    ) from error
        yield database.uri


async def serve(runtime: Runtime) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then finish the requests in flight."""
    settings = runtime.settings
    with bind(settings) as listener, prometheus(settings, runtime.metrics):
        async with prepared_database(settings) as uri:
            await serve_on(listener, uri, runtime)


async def serve_on(listener: socket.socket, uri: str, runtime: Runtime) -> None:
    settings = runtime.settings
    config = uvicorn.Config(
        create_app(runtime, uri),
        http=Http11Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        root_path=settings.root_path,
        server_header=False,
        proxy_headers=False,  # `access.limits` decides which addresses to believe.
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if runtime.logs.readable:
        database = f"{settings.data_dir}/ (embedded)" if settings.embedded else "as configured"
        print(WELCOME.format(version=__version__, address=address, database=database), flush=True)
    else:
        log.info("game-api %s listens on %s", __version__, address)
    if not settings.authenticates:
        log.warning(NO_AUTHENTICATION)
    server = Server(config, runtime.lifecycle, settings.shutdown_delay)
    await server.serve(sockets=[listener])


@contextlib.contextmanager
def prometheus(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Serve GET /metrics for Prometheus on a separate port, if configured. Raises CommandError."""
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


async def wait_for_database(connection: Connection, patience: float) -> None:
    """Return when the database answers. Raises PyMongoError if it doesn't in `patience` seconds.

    Each attempt fails by itself after a few seconds.
    """
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + patience
    while True:
        try:
            await connection.run("ping", lambda database: database.command("ping"))
            return
        except PyMongoError as error:
            if not is_unavailable(error) or clock() >= give_up_at:
                raise
            log.warning("waiting for the database: %s", type(error).__name__)
        await asyncio.sleep(1)


async def make_indexes(runtime: Runtime, patience: float = 0) -> None:
    """Create the missing indexes and print the names of all. Raises CommandError.

    A database that can't be reached is tried for `patience` seconds.
    """
    settings = runtime.settings
    failures: list[str] = []

    async def prepare(database: Database) -> list[str]:
        with pymongo.timeout(INDEX_SECONDS):
            return await prepare_database(database, settings)

    async with (
        prepared_database(settings) as uri,
        open_connection(settings, uri, runtime.logs.redact) as connection,
    ):
        try:
            await wait_for_database(connection, patience)
            names = await connection.run("createIndexes", prepare)
        except IndexesFailed as error:
            names, failures = error.created, error.failures
        except CredentialsError as error:
            raise CommandError(f"can't create the indexes: {error}") from error
        except PyMongoError as error:
            raise CommandError(f"can't create the indexes: {type(error).__name__}") from error
    for name in names:
        print(name)
    if failures:
        raise CommandError("\ngame-api: ".join(failures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="game-api",
        description="Players and game sessions over REST.",
        epilog="The settings are GAME_API_* environment variables; see docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"game-api {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve the API (the default)")
    indexes = commands.add_parser(
        "create-indexes", help="create the indexes of the database; safe to repeat"
    )
    indexes.add_argument(
        "--wait",
        type=int,
        default=0,
        metavar="SECONDS",
        help="how long to wait for the database; the default is 0",
    )
    commands.add_parser("openapi", help="print the OpenAPI document of the API")
    commands.add_parser("permissions", help="print which role may perform which operation")
    token = commands.add_parser(
        "token",
        help="print a token for development, signed with GAME_API_JWT_SECRET",
        epilog="example: game-api token --role player --subject ada",
    )
    token.add_argument(
        "--role", action="append", required=True, choices=ROLES, help="may be repeated"
    )
    token.add_argument("--subject", required=True, help="for a player: the player_id")
    token.add_argument(
        "--expires-in", type=int, default=3600, metavar="SECONDS", help="the default is 3600"
    )
    return parser.parse_args()


def print_token(settings: Settings, options: argparse.Namespace) -> None:
    """Print a token. Raises SettingsError."""
    mistakes = []
    if settings.jwt_secret is None:
        mistakes.append(
            "set GAME_API_JWT_SECRET: tokens are signed with it"
            if settings.jwks_url is None
            else "the identity provider of GAME_API_JWKS_URL signs the tokens"
        )
    if options.expires_in < 1:
        mistakes.append("--expires-in must be at least 1")
    caller = Caller(options.subject, frozenset(options.role))
    if "player" in options.role and caller.player_id is None:
        mistakes.append("--subject must be a player_id: 1-64 letters, digits, _ or -")
    elif not valid_subject(options.subject):
        mistakes.append(f"--subject must have 1-{MAX_SUBJECT} printable characters")
    if mistakes:
        raise SettingsError(mistakes)
    print(mint(settings, options.subject, options.role, options.expires_in))


async def print_document(runtime: Runtime) -> None:
    """Print the OpenAPI document. This needs no database."""
    document = create_app(runtime, uri="mongodb://unused").openapi()
    try:
        print(json.dumps(document, indent=2, ensure_ascii=False), flush=True)
    except OSError as error:  # Python would write again at the exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandError(f"can't print the document: {error.strerror}") from None


async def print_permissions(runtime: Runtime) -> None:
    """Print the table of permissions as Markdown."""
    print(table())


COMMANDS = {
    "permissions": print_permissions,
    "openapi": print_document,
}


def open_standard_streams() -> None:
    """Open /dev/null in place of closed streams. A socket could get the descriptor otherwise."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


def main() -> None:
    """Run a command. Exits with 0 on success, 1 on failure, and 2 for invalid settings."""
    open_standard_streams()
    options = arguments()
    command = COMMANDS.get(options.command, serve)
    if options.command == "create-indexes":
        command = functools.partial(make_indexes, patience=options.wait)
    metrics = Metrics()
    try:
        settings = load_settings()
        if options.command == "token":
            print_token(settings, options)
            return
        check_connection_options(settings)
        logs = configure(settings, metrics)
    except SettingsError as error:
        for mistake in error.mistakes:
            print(f"game-api: {mistake}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(command(Runtime(settings, metrics, logs)))
    except (CommandError, EmbeddedDatabaseError) as error:
        print(f"game-api: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        logs.close()


if __name__ == "__main__":
    main()
