"""The embedded database: SecantusDB as a child process, for running without any other database.

It is a program of its own (GPL-2.0) that speaks MongoDB's wire protocol; nothing of it is imported.
It syncs each commit to disk, so that what was acknowledged survives a kill -9 of either process.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

from pymongo.errors import PyMongoError

from game_api.database import connect

log = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 2.0
"""How long it gets to stop when asked; it misses the signal at times. Killing it loses nothing."""
LOCK_SECONDS = 3.0
PORT_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1


class EmbeddedDatabaseError(Exception):
    """The embedded database can't run; the text says why and what to do."""


class EmbeddedDatabase:
    """One SecantusDB process on a free loopback port, started again should it die."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.process: asyncio.subprocess.Process | None = None
        self._lock: IO[str] | None = None

    @property
    def _log(self) -> Path:
        return self.directory / "database.log"

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises EmbeddedDatabaseError."""
        if importlib.util.find_spec("secantus") is None:
            raise EmbeddedDatabaseError(
                "the embedded database is not installed: pip install 'game-api[local]', or set "
                "GAME_API_MONGODB_URI to a database of your own"
            )
        await self._take_lock()
        try:
            self._log.unlink(missing_ok=True)
            for attempt in range(1, PORT_ATTEMPTS + 1):
                self.port = free_port()
                try:
                    await self._launch()
                    return
                except EmbeddedDatabaseError as error:
                    if "Address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                        raise
        except BaseException:
            self._release_lock()
            raise

    async def stop(self) -> None:
        """Ask it to stop, insist after two seconds, and give the directory free."""
        process = self.process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    while process.returncode is None:
                        # It looks up from waiting for a connection only when one comes.
                        await self._knock()
                        await asyncio.sleep(0.02)
            except TimeoutError:
                process.kill()
            await process.wait()
        self._release_lock()

    async def keep_running(self) -> None:
        """Start it again, on the same port, whenever it dies."""
        while self.process is not None:
            code = await self.process.wait()
            log.error("the embedded database died (exit code %d); starting it again", code)
            try:
                await self._launch()
            except (EmbeddedDatabaseError, OSError) as error:
                log.error("%s", error)
                await asyncio.sleep(1)

    async def _take_lock(self) -> None:
        """Lock the directory; the child inherits the lock, so it ends with the last of both."""
        path = self.directory / "lock"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"can't keep the embedded database in {self.directory}: {error.strerror}; "
                "set GAME_API_DATA_DIR to a directory that can be written"
            ) from None
        for remaining in range(int(LOCK_SECONDS * 10), -1, -1):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not remaining:
                    lock.seek(0)
                    owner = lock.read().strip() or "unknown"
                    lock.close()
                    raise EmbeddedDatabaseError(
                        f"{self.directory} is in use by another run (process {owner}); stop it, "
                        "or set GAME_API_DATA_DIR to another directory"
                    ) from None
                await asyncio.sleep(0.1)  # the child of a run that was killed may be dying still
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _launch(self) -> None:
        assert self._lock is not None
        with self._log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("secantusd-py"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                *("--storage-path", str(self.directory / "database")),
                *("--cache-size", "256M", "--sync-on-commit", "--standalone"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[self._lock.fileno()],
                start_new_session=True,  # Ctrl-C is for the service, which then stops the database
                preexec_fn=_die_with_parent(),
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._answers(self.process)
        except TimeoutError:
            self.process.kill()
            raise EmbeddedDatabaseError(
                f"the embedded database did not answer in {START_SECONDS:.0f} s; see {self._log}"
            ) from None
        except ChildProcessError:
            text = self._log.read_text(errors="replace").strip()
            reason = text.splitlines()[-1] if text else "no output"
            raise EmbeddedDatabaseError(
                f"the embedded database could not start: {reason} (all of it in {self._log})"
            ) from None
        except BaseException:
            self.process.kill()
            raise

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the first answer. Raises ChildProcessError when the process has ended."""
        while process.returncode is None:
            # A look at the port first: the driver would wait half a second between its tries.
            if await self._knock():
                with contextlib.suppress(PyMongoError):
                    async with connect(self.uri) as client:
                        await client.admin.command("ping")
                        return
            await asyncio.sleep(0.02)
        raise ChildProcessError

    async def _knock(self) -> bool:
        """Whether somebody takes a connection at the port."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None]:
    """What the child does before it becomes the database: ask to be killed with its parent."""
    parent = os.getpid()
    # Loaded here: between fork and exec, the child of a process with threads must not import.
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it could be watched
            os._exit(1)

    return before_exec


@contextlib.asynccontextmanager
async def embedded_database(directory: Path) -> AsyncIterator[EmbeddedDatabase]:
    """The embedded database, for as long as the context lasts."""
    database = EmbeddedDatabase(directory)
    await database.start()
    keeper = asyncio.create_task(database.keep_running())
    try:
        yield database
    finally:
        while not keeper.done():  # once may not do: the driver swallows some cancellations
            keeper.cancel()
            await asyncio.wait([keeper], timeout=0.1)
        await database.stop()
