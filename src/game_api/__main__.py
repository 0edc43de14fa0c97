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
from pymongo.errors import PyMongoError

from game_api import __version__
from game_api.app import Lifetime, create_app
from game_api.database import connect, create_indexes, database_uri
from game_api.embedded import EmbeddedDatabaseError, embedded_database
from game_api.settings import Settings, SettingsError, load_settings

log = logging.getLogger("game_api")

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

    def __init__(self, config: uvicorn.Config, lifetime: Lifetime, delay: float) -> None:
        super().__init__(config)
        self.lifetime = lifetime
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
        if self.lifetime.stopping:
            self.should_exit = self.force_exit = True
        else:
            self.lifetime.stopping = True
            asyncio.get_running_loop().call_later(self.delay, self.exit)

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


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in flight."""
    listener = bind(settings)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    async with prepared_database(settings) as uri:
        lifetime = Lifetime()
        config = uvicorn.Config(
            create_app(settings, uri, lifetime),
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_timeout,
        )
        server = Server(config, lifetime, settings.shutdown_delay)
        where = (
            f"{settings.data_dir}/ (embedded database)" if settings.embedded else "as configured"
        )
        print(WELCOME.format(version=__version__, address=address, database=where), flush=True)
        await server.serve(sockets=[listener])


async def make_indexes(settings: Settings) -> None:
    """Create the indexes that are missing, and say which there are. Raises CommandError."""
    async with prepared_database(settings) as uri, connect(uri) as client:
        try:
            names = await create_indexes(client.get_default_database(settings.database))
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
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    try:
        settings = load_settings()
    except SettingsError as error:
        for mistake in error.mistakes:
            print(f"game-api: {mistake}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(command(settings))
    except (CommandError, EmbeddedDatabaseError) as error:
        print(f"game-api: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
