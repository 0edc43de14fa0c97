"""Client traffic: a constant rate of requests, and a record of the acknowledged writes."""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.e2e.oidc import Tokens, trust
from tests.e2e.processes import Failed, wait_for

RATE = 50
"""Requests per second."""
SEATS = 16
TIMEOUT = 10
"""Seconds after which a request fails with a timeout."""
ADMINISTRATION = ("POST player", "PUT player")
"""The requests that need the role of an administrator."""


@dataclass
class Request:
    """A request, and its outcome: a status code, "wrong response", or the name of an error."""

    started: float
    name: str
    outcome: str = ""
    seconds: float = 0
    response: httpx2.Response | None = None
    as_expected: bool = False


@dataclass
class Window:
    """The requests that started while the window was open."""

    requests: list[Request] = field(default_factory=list)

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if not request.as_expected]

    def summary(self) -> str:
        """The number of requests, and the outcomes of those that failed."""
        outcomes = Counter(request.outcome for request in self.failed)
        failures = ", ".join(f"{number} x {outcome}" for outcome, number in outcomes.most_common())
        duration = f" within {self.failure_duration():.1f} s" if failures else ""
        return f"{len(self.requests)} requests, {failures or 'none failed'}{duration}"

    def failure_duration(self) -> float:
        """Seconds from the start of the first failed request to the end of the last one."""
        if not self.failed:
            return 0
        last_end = max(request.started + request.seconds for request in self.failed)
        return last_end - min(request.started for request in self.failed)


class Traffic:
    """Sends reads, writes and joins from a background thread.

    Administrators create and change players, and servers of the game do everything else.

    Half of the requests open a new connection, so that the Service selects a pod for each of them.
    The others use persistent connections.
    """

    def __init__(self, address: str, tokens: Mapping[str, Tokens]) -> None:
        self.address = address
        self.tokens = tokens
        self.windows: list[Window] = []
        self.ratings: dict[str, set[int]] = {}
        """The possible ratings of each player whose creation was acknowledged."""
        self.seats: dict[str, set[str]] = {}
        """The players of each session whose join was acknowledged."""
        self._idle: deque[str] = deque()  # players without an update in progress
        self._without_seat: deque[str] = deque()
        self._session, self._free_seats = "", 0
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._burst = 0
        self._paused = False
        self._stopping = False
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()

    @contextmanager
    def window(self) -> Iterator[Window]:
        """Record the requests during the block, and for half a second before and after it.

        Raises Failed if fewer requests were sent than RATE requires.
        """
        window = Window()
        opened = time.monotonic()
        self.windows.append(window)
        time.sleep(0.5)
        try:
            yield window
        finally:
            time.sleep(0.5)
            self.windows.remove(window)
        seconds = time.monotonic() - opened
        self.wait_for(window.requests)
        sent = len(window.requests)
        if sent < 0.8 * RATE * seconds:
            raise Failed(f"only {sent} requests were sent in {seconds:.1f} s: too few for a result")

    @staticmethod
    def wait_for(requests: list[Request]) -> None:
        """Wait until each of these requests has an outcome."""
        wait_for(
            "every request has an outcome",
            lambda: all(request.outcome for request in requests),
            TIMEOUT + 5,
        )

    def burst(self, number: int) -> None:
        """Send this number of reads at once, and wait half a second."""
        self._burst = number
        time.sleep(0.5)

    async def _run(self) -> None:
        no_keepalive = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, verify=trust(), limits=no_keepalive) as connecting,
            httpx2.AsyncClient(timeout=TIMEOUT, verify=trust()) as persistent,
            asyncio.TaskGroup() as group,
        ):
            operations = itertools.cycle(
                [self._create, self._read, self._join, self._read, self._update, self._read]
            )
            clients = itertools.cycle([connecting, persistent, persistent, connecting])
            due = time.monotonic()
            while not self._stopping:
                if not self._paused:
                    self._start(group, next(operations)(next(clients)))
                for _ in range(self._burst):
                    self._start(group, self._read(connecting))
                self._burst = 0
                due += 1 / RATE
                await asyncio.sleep(due - time.monotonic())

    def _start(self, group: asyncio.TaskGroup, operation: Coroutine[Any, Any, None]) -> None:
        self._in_flight.add(task := group.create_task(operation))
        task.add_done_callback(self._in_flight.discard)

    async def _send(
        self,
        client: httpx2.AsyncClient,
        name: str,
        path: str,
        body: object,
        *expected: int,
        check: Callable[[httpx2.Response], bool] = lambda _: True,
    ) -> httpx2.Response | None:
        """Send a request and record its outcome. The name starts with the HTTP method.

        Returns the response if its status code is expected and `check` accepts it.
        """
        method = name.split()[0]
        tokens = self.tokens["admin" if name in ADMINISTRATION else "server"]
        request = Request(time.monotonic(), name)
        for window in self.windows:
            window.requests.append(request)
        try:
            request.response = await client.request(
                method, f"{self.address}{path}", json=body, auth=tokens
            )
            outcome = str(request.response.status_code)
            if request.response.status_code in expected:
                request.as_expected = check(request.response)
                outcome = outcome if request.as_expected else "wrong response"
        except httpx2.HTTPError as error:
            outcome = type(error).__name__
        request.seconds = time.monotonic() - request.started
        request.outcome = outcome
        return request.response if request.as_expected else None

    async def _create(self, client: httpx2.AsyncClient) -> None:
        name = f"p{next(self._numbers)}-{int(time.time())}"
        body = {"username": name, "player_id": name}
        if await self._send(client, "POST player", "/api/v1/players", body, 201):
            self.ratings[name] = {1000}
            self._idle.append(name)
            self._without_seat.append(name)

    async def _read(self, client: httpx2.AsyncClient) -> None:
        if not self.ratings:
            return
        name = random.choice(list(self.ratings))
        lowest = min(self.ratings[name])
        path = f"/api/v1/players/{name}"

        def is_fresh(response: httpx2.Response) -> bool:
            # Ratings only increase, so a read must return at least the rating that was
            # acknowledged before it started.
            return bool(response.json()["rating"] >= lowest)

        await self._send(client, "GET player", path, None, 200, check=is_fresh)

    async def _update(self, client: httpx2.AsyncClient) -> None:
        if not self._idle:
            return
        name = self._idle.popleft()
        rating = max(self.ratings[name]) + 1
        # Until the response arrives, both the old and the new rating are correct.
        self.ratings[name].add(rating)
        path = f"/api/v1/players/{name}"
        if await self._send(client, "PUT player", path, {"rating": rating}, 200):
            self.ratings[name] = {rating}
        self._idle.append(name)

    async def _join(self, client: httpx2.AsyncClient) -> None:
        if not self._without_seat:
            return
        if not self._free_seats:
            body = {"name": "e2e", "game_mode": "e2e", "max_players": SEATS}
            created = await self._send(client, "POST session", "/api/v1/sessions", body, 201)
            if created:
                self._session, self._free_seats = created.json()["session_id"], SEATS
                self.seats[self._session] = set()
            return
        self._free_seats -= 1  # before the response, so that joins never exceed the seats
        player, session = self._without_seat.popleft(), self._session
        path = f"/api/v1/sessions/{session}/players/{player}"
        if await self._send(client, "PUT seat", path, None, 200, 201):
            self.seats[session].add(player)

    def lost_writes(self) -> list[str]:
        """Describe each acknowledged write that is not stored. Pauses the traffic meanwhile."""
        with self.paused():
            return list(self._find_lost_writes())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the traffic, after all requests in flight have an outcome."""
        self._paused = True
        try:
            wait_for("no request is in flight", lambda: not self._in_flight, TIMEOUT + 5)
            yield
        finally:
            self._paused = False

    def _find_lost_writes(self) -> Iterator[str]:
        with httpx2.Client(
            base_url=self.address, auth=self.tokens["server"], verify=trust(), timeout=TIMEOUT
        ) as client:
            stored: dict[str, int] = {}
            cursor: str | None = ""
            while cursor is not None:
                query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
                page = client.get("/api/v1/players", params=query).json()
                stored |= {item["player_id"]: item["rating"] for item in page["items"]}
                cursor = page["next_cursor"]
            for name, ratings in self.ratings.items():
                if stored.get(name) not in ratings:
                    yield f"{name}: rating {stored.get(name)}, acknowledged {ratings}"
            for session, players in self.seats.items():
                members = client.get(f"/api/v1/sessions/{session}").json()["members"]
                for player in players - {member["player_id"] for member in members}:
                    yield f"{player} has no seat in {session}"
