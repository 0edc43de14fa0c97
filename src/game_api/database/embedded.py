"""The embedded database: SecantusDB as a child process, for development and tests.

SecantusDB is a separate program (GPL-2.0) that speaks the wire protocol of MongoDB; its code is
never imported. It syncs each commit to disk, so that acknowledged writes survive a `kill -9` of
either process.

When the disk is full, its storage engine gives up for good: the process lives on, but answers every
command that touches data with an internal error. It is then restarted until it works again.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from game_api.database.client import Client, connect
from game_api.database.errors import INTERNAL_ERROR

log = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 2.0
"""How long it may take to stop. It sometimes misses the signal; killing it loses no data."""
LOCK_SECONDS = 3.0
CHECK_SECONDS = 1.0
"""How often the storage of a running database is checked, and a failed restart is repeated."""
FULL_BYTES = 1024 * 1024
"""The disk counts as full if less than this is free."""
PORT_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1


class EmbeddedDatabaseError(Exception):
    """The embedded database can't run; the text says why and how to fix it."""


class EmbeddedDatabase:
    """One SecantusDB process on a free loopback port, which is restarted when it dies."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: asyncio.subprocess.Process | None = None
        self._lock: IO[str] | None = None
        self._port: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port of the database; only while it runs."""
        assert self._port is not None
        port: int = self._port.getsockname()[1]
        return port

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
        try:
            await self._take_lock()
            self._log.unlink(missing_ok=True)
            for attempt in range(1, PORT_ATTEMPTS + 1):
                self._port = reserve_port()
                try:
                    await self._launch()
                    return
                except EmbeddedDatabaseError as error:
                    if "Address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                        raise
                self._port.close()
        except BaseException:
            self._release()
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
        self._release()

    async def keep_running(self) -> None:
        """Restart the database on the same port whenever it dies or its storage has failed."""
        async with connect(self.uri) as client:
            while (process := self.process) is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), CHECK_SECONDS)
                if process.returncode is not None:
                    code = process.returncode
                    log.error("the embedded database died (exit code %d); restarting it", code)
                elif await storage_has_failed(client):
                    log.error("the storage of the embedded database has failed%s", self._cause)
                    process.kill()
                    await process.wait()
                else:
                    continue
                await self._restart()

    async def _restart(self) -> None:
        """Start the database again, and repeat that until it works."""
        reported = ""
        while True:
            try:
                await self._launch()
                log.warning("the embedded database was restarted")
                return
            except (EmbeddedDatabaseError, OSError) as error:
                if str(error) != reported:
                    reported = str(error)
                    log.error("%s", error)
                await asyncio.sleep(CHECK_SECONDS)

    @property
    def _cause(self) -> str:
        """What is probably wrong, to be added to a sentence."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.directory).free < FULL_BYTES:
                return ": the disk is full"
        return f"; see {self._log}"

    async def _take_lock(self) -> None:
        """Lock the directory. The child inherits the lock, so it lasts until both have ended."""
        path = self.directory / "lock"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except OSError as error:
            raise self._unwritable(error) from None
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
        self._lock = lock
        try:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> EmbeddedDatabaseError:
        return EmbeddedDatabaseError(
            f"can't keep the embedded database in {self.directory}: {error.strerror}; "
            "set GAME_API_DATA_DIR to a writable directory"
        )

    def _release(self) -> None:
        """Release the lock of the directory, and the port."""
        for held in (self._lock, self._port):
            if held is not None:
                with contextlib.suppress(OSError):  # Closing a file writes what it has buffered.
                    held.close()
        self._lock = self._port = None

    async def _launch(self) -> None:
        """Start the process and wait until it responds. Raises EmbeddedDatabaseError or OSError."""
        assert self._lock is not None
        with self._log.open("ab") as output:
            logged = output.tell()
            self.process = await asyncio.create_subprocess_exec(
                # Not the program `secantusd-py`, which need not be next to the interpreter. With -P
                # a folder named secantus in the working directory is not taken for the package.
                *(sys.executable, "-P", "-m", "secantus"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                # One argument, because the directory may begin with a dash.
                f"--storage-path={self.directory / 'database'}",
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
            text = self._log.read_bytes()[logged:].decode(errors="replace").strip()
            # The reason is missing from a log on a full disk.
            reason = f": {text.splitlines()[-1]} (see {self._log})" if text else self._cause
            raise EmbeddedDatabaseError(f"the embedded database could not start{reason}") from None
        except BaseException:
            self.process.kill()
            raise

    async def _wait_for_response(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the first response. Raises ChildProcessError if the process ends before."""
        while process.returncode is None:
            # The driver would wait for half a second between two attempts, so check the port first.
            if await self._accepts_connections():
                with contextlib.suppress(PyMongoError):
                    async with connect(self.uri, serverSelectionTimeoutMS=500) as client:
                        status = await client.admin.command("serverStatus")
                    # Another program may have taken the port: then the process is about to end.
                    if status.get("pid") == process.pid:
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


async def storage_has_failed(client: Client) -> bool:
    """Whether a running database can't even read any more."""
    try:
        with pymongo.timeout(CHECK_SECONDS):
            await client["game-api"].check.find_one()
    except OperationFailure as error:
        return error.code == INTERNAL_ERROR
    except PyMongoError:
        pass  # It is busy or suspended, or has just died.
    return False


def reserve_port() -> socket.socket:
    """Reserve an unused loopback port until the returned socket is closed.

    The system gives the port to nobody else, not even while the database is being restarted. The
    database itself can listen on it, because both sockets have SO_REUSEADDR.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


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
