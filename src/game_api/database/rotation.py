"""A connection to a database whose password is rotated.

The driver fixes the credentials of a client when the client is created. After a rotation, the open
connections of the client keep working, but the server refuses to authenticate new ones. Then the
secret is read again, once for all commands that wait, a new client is created with the current
credentials, and the refused commands run again on that client. The old client is closed when the
last command on it has ended.

When the server refuses a connection, the driver also clears the connection pool of the client and
pauses it. Commands that wait for a connection would fail with other errors, or late. None of them
has been sent, so all of them are cancelled and run again as well.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextvars import Context, ContextVar
from types import TracebackType
from typing import Any, Self

from pymongo.errors import OperationFailure, PyMongoError
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from game_api.database.client import (
    CREDENTIALS_SECONDS,
    Command,
    Driver,
    Listener,
    Result,
    connect,
)
from game_api.database.credentials import Credentials, Secret
from game_api.database.errors import CredentialsError

READ_INTERVAL = 1.0
"""The minimum number of seconds between two reads of the secret."""
REMINDER_INTERVAL = 60.0
"""The number of seconds after which an unchanged problem is logged again."""

AUTHENTICATION_FAILED = 18
AUTHENTICATION_COMMANDS = {"saslStart", "saslContinue"}
"""The commands by which the driver authenticates a new connection."""

log = logging.getLogger(__name__)


class NotSent(Exception):
    """A command was not sent, because the server refuses the credentials of the client."""


class Attempt:
    """A command on a client and the task that runs it."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.sent = False
        self.withdrawn = False
        self._cancelling = task.cancelling()

    def withdraw(self) -> None:
        """Cancel the task before the driver sends the command."""
        self.withdrawn = True
        self.task.cancel()

    @property
    def cancelled_by_others(self) -> bool:
        return self.task.cancelling() > self._cancelling + self.withdrawn


current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""The attempt of the running task, which the driver's listener looks up."""


class ClientLease(CommandListener):
    """A client, the credentials that it was created with, and the commands that run on it."""

    def __init__(
        self, uri: str, name: str, credentials: Credentials, listeners: Sequence[Listener]
    ) -> None:
        self.credentials = credentials
        self.refused = False
        """Whether the server has refused the credentials since the secret was last read."""
        self._refusals = 0
        self._attempts: set[Attempt] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.client = connect(
            uri,
            username=credentials.username,
            password=credentials.password.get_secret_value(),
            # With polling, the driver checks the server again half a second after a refusal. The
            # default mode may wait for a message from the server for ten seconds.
            serverMonitoringMode="poll",
            event_listeners=[*listeners, self],
        )
        self._driver = Driver(self.client.get_default_database(name))

    async def run(self, command: Command[Result]) -> Result:
        """Run a command. Raises NotSent if it can safely run again on another client."""
        task = asyncio.current_task()
        assert task is not None
        attempt = Attempt(task)
        refusals = self._refusals
        token = current_attempt.set(attempt)
        self._attempts.add(attempt)
        self._idle.clear()
        try:
            return await self._driver.run(command)
        except PyMongoError as error:
            # The driver authenticates a connection before it sends a command on it. A command that
            # fails with a refusal was therefore not executed, and it is always safe to repeat.
            if isinstance(error, OperationFailure) and error.code == AUTHENTICATION_FAILED:
                raise NotSent from error
            if self._refusals > refusals and not attempt.sent:
                raise NotSent from error
            raise
        except asyncio.CancelledError:
            if attempt.withdrawn and not attempt.cancelled_by_others:
                raise NotSent from None
            raise
        finally:
            if attempt.withdrawn:
                task.uncancel()
            current_attempt.reset(token)
            self._attempts.discard(attempt)
            if not self._attempts:
                self._idle.set()

    async def retire(self) -> None:
        """Close the client when no command runs on it any more."""
        await self._idle.wait()
        await self.client.close()

    # The driver calls these methods in the task that runs the command.
    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in AUTHENTICATION_COMMANDS:
            if (attempt := current_attempt.get()) is not None:
                attempt.sent = True

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        if event.command_name not in AUTHENTICATION_COMMANDS:
            return
        if event.failure.get("code") == AUTHENTICATION_FAILED:
            self._refusals += 1
            self.refused = True
            # Otherwise the driver would let the waiting commands try until their deadline.
            for other in self._attempts:
                if other is not current_attempt.get() and not other.sent and not other.withdrawn:
                    other.withdraw()


class RotatingConnection:
    """A connection that always uses a client with the current credentials of a secret."""

    def __init__(self, uri: str, name: str, secret: Secret, listeners: Sequence[Listener]) -> None:
        self._uri = uri
        self._name = name
        self._secret = secret
        self._listeners = listeners
        self._lease: ClientLease | None = None
        self._leases: set[ClientLease] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_read = 0.0
        self._problem = "the secret is still being read"
        self._next_reminder = 0.0

    async def __aenter__(self) -> Self:
        # The process starts without waiting for the secret; only commands wait for it.
        self._renewal = self._spawn(self._renew())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lease in self._leases:
            await lease.client.close()

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        """Run a command on the current client, and on the next one if this one is refused.

        Raises CredentialsError if there are no accepted credentials within `patience` seconds.
        """
        give_up_at = asyncio.get_running_loop().time() + patience
        while True:
            lease = self._lease
            if lease is not None and not lease.refused:
                try:
                    return await lease.run(command)
                except NotSent:
                    pass
            await self._wait_for_renewal(lease, give_up_at)

    async def _wait_for_renewal(self, lease: ClientLease | None, give_up_at: float) -> None:
        """Wait until the secret has been read since this client was refused.

        Raises CredentialsError.
        """
        if self._lease is not lease:
            return
        if self._renewal.done():
            self._renewal = self._spawn(self._renew())
        renewal = self._renewal
        seconds = give_up_at - asyncio.get_running_loop().time()
        await asyncio.wait([renewal], timeout=max(seconds, 0))
        if not renewal.done() or renewal.cancelled():  # It takes too long, or the process ends.
            raise CredentialsError(self._reason())

    async def _renew(self) -> None:
        """Read the secret, once a second at most, and create a client with its credentials."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._next_read - clock())
        self._next_read = clock() + READ_INTERVAL
        old = self._lease
        try:
            credentials = await self._secret.read()
            if old is not None and old.credentials == credentials:
                # The secret or the database has not been updated yet, or the secret is wrong.
                raise CredentialsError("the secret still holds the refused credentials")
        except CredentialsError as error:
            self._report(str(error))
            if old is not None:
                old.refused = False  # The commands that wait find out whether it still is.
            return
        self._lease = ClientLease(self._uri, self._name, credentials, self._listeners)
        self._leases.add(self._lease)
        log.info("the database connection uses the current credentials of the secret")
        if old is not None:
            self._spawn(self._retire(old))

    async def _retire(self, lease: ClientLease) -> None:
        await lease.retire()
        self._leases.discard(lease)

    def _reason(self) -> str:
        state = "no credentials" if self._lease is None else "the credentials are refused"
        return f"{state}: {self._problem}"

    def _report(self, problem: str) -> None:
        """Log a problem when it is new, and again from time to time."""
        now = asyncio.get_running_loop().time()
        if problem != self._problem or now >= self._next_reminder:
            self._problem = problem
            self._next_reminder = now + REMINDER_INTERVAL
            log.warning("the database can't be used: %s", self._reason())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # An empty context, so that the task does not inherit the deadline of a single request.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
