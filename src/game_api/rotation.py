"""The connection to a database whose password is rotated: one client after the other.

The driver fixes a client's credentials when the client is made. After a rotation the connections
that it has go on working, and those that it opens are refused. Then the secret is read again, once
for all who wait, a client is made of what it says now, and what was refused runs again on that. The
old client is closed when the last command on it has ended.

A refusal also empties the client's pool and keeps it from its server for a moment. Commands that
wait there would fail with other errors, or late; none of them was sent, so all of them are called
off, and run again as well.
"""

import asyncio
import logging
from collections.abc import Coroutine
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

from game_api.connection import PATIENCE, Command, Connection, Result
from game_api.credentials import Credentials, Secret
from game_api.database import connect
from game_api.errors import CredentialsError

READ_PAUSE = 1.0
"""Seconds from one read of the secret to the next, at least."""
REMINDER = 60.0
"""Seconds until the log says again what it has said already."""

AUTHENTICATION_FAILED = 18
LOGIN = {"saslStart", "saslContinue"}
"""The commands by which the driver authenticates a connection that it opens."""

log = logging.getLogger(__name__)


class Refused(Exception):
    """A command was not sent, because the server refuses the client's credentials."""


class Attempt:
    """A command on a client, by the task that runs it; whether it was sent, or called off."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.sent = False
        self.called_off = False
        self._cancelling = task.cancelling()

    def call_off(self) -> None:
        """Cancel the task, which stops where it waits, so that the command is never sent."""
        self.called_off = True
        self.task.cancel()

    @property
    def cancelled_by_others(self) -> bool:
        return self.task.cancelling() > self._cancelling + self.called_off


attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""What the running task attempts, for the driver's listener to find."""


class Link(CommandListener):
    """A client, the credentials it was made with, and the commands that are under way on it."""

    def __init__(
        self, uri: str, name: str, credentials: Credentials, options: dict[str, Any]
    ) -> None:
        self.credentials = credentials
        self.refused = False
        """Whether the server has refused the credentials since the secret was read."""
        self._refusals = 0
        self._attempts: set[Attempt] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        login = {
            "username": credentials.username,
            "password": credentials.password.get_secret_value(),
            # After a refusal the server is looked at again within half a second. The default may
            # wait for news from the server, ten seconds, and what waits on this client waits too.
            "serverMonitoringMode": "poll",
            "event_listeners": [*options.get("event_listeners", ()), self],
        }
        self.client = connect(uri, **(options | login))
        self._database = self.client.get_default_database(name)

    async def run(self, command: Command[Result]) -> Result:
        """Run a command. Raises Refused when it was not, and is safe to run elsewhere."""
        task = asyncio.current_task()
        assert task is not None
        this = Attempt(task)
        refusals = self._refusals
        token = attempt.set(this)
        self._attempts.add(this)
        self._idle.clear()
        try:
            return await command(self._database)
        except PyMongoError as error:
            # The driver authenticates when it opens a connection, before it sends the command, so
            # a command that meets a refusal has not happened, and trying again is always safe.
            if isinstance(error, OperationFailure) and error.code == AUTHENTICATION_FAILED:
                raise Refused from error
            if self._refusals > refusals and not this.sent:
                raise Refused from error
            raise
        except asyncio.CancelledError:
            if this.called_off and not this.cancelled_by_others:
                raise Refused from None
            raise
        finally:
            if this.called_off:
                task.uncancel()
            attempt.reset(token)
            self._attempts.discard(this)
            if not self._attempts:
                self._idle.set()

    async def retire(self) -> None:
        """Close the client once nothing is under way on it."""
        await self._idle.wait()
        await self.client.close()

    # What the driver tells while a command runs, by the task that runs it.
    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in LOGIN and (this := attempt.get()) is not None:
            this.sent = True

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        if event.command_name in LOGIN and event.failure.get("code") == AUTHENTICATION_FAILED:
            self._refusals += 1
            self.refused = True
            # The driver would have the others try for as long as their deadline lets them.
            for other in self._attempts:
                if other is not attempt.get() and not other.sent and not other.called_off:
                    other.call_off()


class RotatingConnection(Connection):
    """The database by whichever client has the secret's credentials of the moment."""

    def __init__(self, uri: str, name: str, secret: Secret, **options: Any) -> None:
        super().__init__(uri, name, **options)
        self._secret = secret
        self._link: Link | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_read = 0.0
        self._trouble = "the secret is still being read"
        self._next_reminder = 0.0

    async def __aenter__(self) -> Self:
        self._renewal = self._spawn(self._renew())  # only what runs on it waits for the secret
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
        for link in self._links:
            await link.client.close()

    async def run(self, command: Command[Result], patience: float = PATIENCE) -> Result:
        """Run a command on the current client, and on the next one when it is refused.

        Raises CredentialsError when there are no credentials that are taken, for so many seconds.
        """
        give_up_at = asyncio.get_running_loop().time() + patience
        while True:
            link = self._link
            if link is not None and not link.refused:
                try:
                    return await link.run(command)
                except Refused:
                    pass
            await self._renewed(link, give_up_at)

    async def _renewed(self, refused: Link | None, give_up_at: float) -> None:
        """Wait until the secret was read after this client was refused. Raises CredentialsError."""
        if self._link is not refused:
            return
        if self._renewal.done():
            self._renewal = self._spawn(self._renew())
        renewal = self._renewal
        seconds = give_up_at - asyncio.get_running_loop().time()
        await asyncio.wait([renewal], timeout=max(seconds, 0))
        if not renewal.done() or renewal.cancelled():  # it takes too long, or the process ends
            raise CredentialsError(self._reason())

    async def _renew(self) -> None:
        """Read the secret, not too often, and have a client with the credentials it holds."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._next_read - clock())
        self._next_read = clock() + READ_PAUSE
        old = self._link
        try:
            credentials = await self._secret.read()
            if old is not None and old.credentials == credentials:
                # The secret lags behind the database, or it the other way round, or it is wrong.
                raise CredentialsError("the secret holds no others")
        except CredentialsError as error:
            self._tell(str(error))
            if old is not None:
                old.refused = False  # those who wait find out whether it still is
            return
        self._link = Link(self._uri, self._name, credentials, self._options)
        self._links.add(self._link)
        log.info("the database is used with the credentials that the secret holds now")
        if old is not None:
            self._spawn(self._retire(old))

    async def _retire(self, link: Link) -> None:
        await link.retire()
        self._links.discard(link)

    def _reason(self) -> str:
        what = "no credentials" if self._link is None else "the credentials are refused"
        return f"{what}: {self._trouble}"

    def _tell(self, trouble: str) -> None:
        """Log a reason when it is new, and then from time to time."""
        now = asyncio.get_running_loop().time()
        if trouble != self._trouble or now >= self._next_reminder:
            self._trouble = trouble
            self._next_reminder = now + REMINDER
            log.warning("the database can't be used: %s", self._reason())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # A context of its own: it is for everyone, not for the request that happens to start it.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
