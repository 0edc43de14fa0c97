"""The embedded database: SecantusDB as a child process, for development and tests.

SecantusDB is a separate program (GPL-2.0) that speaks the wire protocol of MongoDB; its code is
never imported. It syncs each commit to disk, so that acknowledged writes survive a `kill -9` of
either process.
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

from game_api.database.client import connect

log = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 2.0
"""How long it may take to stop. It sometimes misses the signal; killing it loses no data."""
LOCK_SECONDS = 3.0
PORT_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1


class EmbeddedDatabaseError(Exception):
    """The embedded database can't run; the text says why and how to fix it."""


class EmbeddedDatabase:
    """One SecantusDB process on a free loopback port, which is restarted when it dies."""

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
        """Start the database and wait until it responds. Raises EmbeddedDatabaseError."""
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
        """Stop the database, kill it after two seconds, and unlock the directory."""
        process = self.process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    while process.returncode is None:
                        # It notices the signal only when a new connection arrives.
                        await self._accepts_connections()
                        await asyncio.sleep(0.02)
            except TimeoutError:
                process.kill()
            await process.wait()
        self._release_lock()

    async def keep_running(self) -> None:
        """Restart the database on the same port whenever it dies."""
        while self.process is not None:
            code = await self.process.wait()
            log.error("the embedded database died (exit code %d); restarting it", code)
            try:
                await self._launch()
            except (EmbeddedDatabaseError, OSError) as error:
                log.error("%s", error)
                await asyncio.sleep(1)

    async def _take_lock(self) -> None:
        """Lock the directory. The child inherits the lock, so it lasts until both have ended."""
        path = self.directory / "lock"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"can't keep the embedded database in {self.directory}: {error.strerror}; "
                "set GAME_API_DATA_DIR to a writable directory"
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
                        f"{self.directory} is in use by game-api process {owner}; stop it "
                        "or set GAME_API_DATA_DIR to another directory"
                    ) from None
                await asyncio.sleep(0.1)  # The child of a killed process may still be ending.
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
                start_new_session=True,  # Ctrl-C must reach the service only, which then stops it.
                preexec_fn=_die_with_parent(),
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._wait_for_response(self.process)
        except TimeoutError:
            self.process.kill()
            raise EmbeddedDatabaseError(
                f"the embedded database did not respond in {START_SECONDS:.0f} s; see {self._log}"
            ) from None
        except ChildProcessError:
            text = self._log.read_text(errors="replace").strip()
            reason = text.splitlines()[-1] if text else "no output"
            raise EmbeddedDatabaseError(
                f"the embedded database could not start: {reason} (see {self._log})"
            ) from None
        except BaseException:
            self.process.kill()
            raise

    async def _wait_for_response(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the first response. Raises ChildProcessError if the process ends before."""
        while process.returncode is None:
            # The driver would wait for half a second between two attempts, so check the port first.
            if await self._accepts_connections():
                with contextlib.suppress(PyMongoError):
                    async with connect(self.uri) as client:
                        await client.admin.command("ping")
                        return
            await asyncio.sleep(0.02)
        raise ChildProcessError

    async def _accepts_connections(self) -> bool:
        """Whether the port accepts a connection."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


def free_port() -> int:
    """A loopback port that is currently unused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None]:
    """Returns a function for the child to run before exec: it will die together with its parent."""
    parent = os.getpid()
    # Loaded before the fork: the child of a process with threads must not import between fork and
    # exec.
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # The parent died before prctl took effect.
            os._exit(1)

    return before_exec


@contextlib.asynccontextmanager
async def embedded_database(directory: Path) -> AsyncIterator[EmbeddedDatabase]:
    """Run the embedded database for the duration of the context."""
    database = EmbeddedDatabase(directory)
    await database.start()
    keeper = asyncio.create_task(database.keep_running())
    try:
        yield database
    finally:
        while not keeper.done():  # The driver swallows some cancellations, so repeat it.
            keeper.cancel()
            await asyncio.wait([keeper], timeout=0.1)
        await database.stop()
