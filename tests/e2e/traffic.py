"""Players: a constant rate of requests, and a memory of what was acknowledged to them."""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.e2e.processes import Failed, wait_for

RATE = 50
"""Requests a second."""
SEATS = 16
TIMEOUT = 10
"""Seconds after which a request counts as hung."""


@dataclass
class Request:
    """One request, and what became of it: a status, or the error's name."""

    began: float
    what: str
    outcome: str = ""
    seconds: float = 0
    answer: httpx2.Response | None = None
    expected: bool = False


@dataclass
class Window:
    """The requests that began while it was open."""

    requests: list[Request] = field(default_factory=list)

    @property
    def failed(self) -> list[Request]:
        return [request for request in self.requests if not request.expected]

    def summary(self) -> str:
        """How many there were, and what became of those that failed."""
        outcomes = Counter(request.outcome for request in self.failed)
        said = ", ".join(f"{number} x {outcome}" for outcome, number in outcomes.most_common())
        within = f" within {self.failing_for():.1f} s" if said else ""
        return f"{len(self.requests)} requests, {said or 'none failed'}{within}"

    def failing_for(self) -> float:
        """Seconds from the first failure to the end of the last one."""
        if not self.failed:
            return 0
        ends = max(request.began + request.seconds for request in self.failed)
        return ends - min(request.began for request in self.failed)


class Traffic:
    """Reads, writes and joins in a thread of their own.

    Half of the requests have a connection each, so that the Service decides anew for each of them;
    the others keep theirs.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.windows: list[Window] = []
        self.ratings: dict[str, set[int]] = {}
        """Of each player whose creation was acknowledged: what the rating may be."""
        self.seats: dict[str, set[str]] = {}
        """Of each session: the players whose joining was acknowledged."""
        self._idle: deque[str] = deque()  # players that no request is changing
        self._standing: deque[str] = deque()  # players without a seat
        self._session = ""
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._under_way: set[asyncio.Task[None]] = set()
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
        """What goes on while it is open, and some requests before and after."""
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
        wait_for("every answer", lambda: all(r.outcome for r in window.requests), TIMEOUT + 5)
        sent = len(window.requests)
        if sent < 0.8 * RATE * seconds:
            raise Failed(f"only {sent} requests in {seconds:.1f} s: what is shown with them?")

    def burst(self, number: int) -> None:
        """So many reads at once, and a moment for them."""
        self._burst = number
        time.sleep(0.5)

    async def _run(self) -> None:
        no_reuse = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, limits=no_reuse) as fresh,
            httpx2.AsyncClient(timeout=TIMEOUT) as kept,
            asyncio.TaskGroup() as group,
        ):
            kinds = itertools.cycle(
                [self._create, self._read, self._join, self._read, self._update, self._read]
            )
            clients = itertools.cycle([fresh, kept, kept, fresh])
            due = time.monotonic()
            while not self._stopping:
                if not self._paused:
                    self._send_one(group, next(kinds)(next(clients)))
                for _ in range(self._burst):
                    self._send_one(group, self._read(fresh))
                self._burst = 0
                due += 1 / RATE
                await asyncio.sleep(due - time.monotonic())

    def _send_one(self, group: asyncio.TaskGroup, sending: Coroutine[Any, Any, None]) -> None:
        self._under_way.add(task := group.create_task(sending))
        task.add_done_callback(self._under_way.discard)

    async def _send(
        self,
        client: httpx2.AsyncClient,
        what: str,
        path: str,
        body: object,
        *expected: int,
        check: Callable[[httpx2.Response], bool] = lambda _: True,
    ) -> httpx2.Response | None:
        """The answer, if it is of one of the expected statuses, and right."""
        method = what.split()[0]
        request = Request(time.monotonic(), what)
        for window in self.windows:
            window.requests.append(request)
        try:
            request.answer = await client.request(method, f"{self.address}{path}", json=body)
            outcome = str(request.answer.status_code)
            if request.answer.status_code in expected:
                request.expected = check(request.answer)
                outcome = outcome if request.expected else "wrong answer"
        except httpx2.HTTPError as error:
            outcome = type(error).__name__
        request.seconds = time.monotonic() - request.began
        request.outcome = outcome
        return request.answer if request.expected else None

    async def _create(self, client: httpx2.AsyncClient) -> None:
        name = f"p{next(self._numbers)}-{int(time.time())}"
        body = {"username": name, "player_id": name}
        if await self._send(client, "POST player", "/api/v1/players", body, 201):
            self.ratings[name] = {1000}
            self._idle.append(name)
            self._standing.append(name)

    async def _read(self, client: httpx2.AsyncClient) -> None:
        if not self.ratings:
            return
        name = random.choice(list(self.ratings))
        before = min(self.ratings[name])
        path = f"/api/v1/players/{name}"

        def is_fresh(answer: httpx2.Response) -> bool:
            # They only grow: what was acknowledged before this read began is seen by it.
            return bool(answer.json()["rating"] >= before)

        await self._send(client, "GET player", path, None, 200, check=is_fresh)

    async def _update(self, client: httpx2.AsyncClient) -> None:
        if not self._idle:
            return
        name = self._idle.popleft()
        rating = max(self.ratings[name]) + 1
        self.ratings[name].add(rating)  # until it is known
        path = f"/api/v1/players/{name}"
        if await self._send(client, "PUT player", path, {"rating": rating}, 200):
            self.ratings[name] = {rating}
        self._idle.append(name)

    async def _join(self, client: httpx2.AsyncClient) -> None:
        if not self._standing:
            return
        if not self._session or len(self.seats[self._session]) >= SEATS // 2:
            body = {"name": "e2e", "game_mode": "e2e", "max_players": SEATS}
            made = await self._send(client, "POST session", "/api/v1/sessions", body, 201)
            if not made:
                return
            self._session = made.json()["session_id"]
            self.seats[self._session] = set()
            return
        player, session = self._standing.popleft(), self._session
        path = f"/api/v1/sessions/{session}/players/{player}"
        if await self._send(client, "PUT seat", path, None, 200, 201):
            self.seats[session].add(player)

    def lost(self) -> list[str]:
        """The acknowledged writes that are not there; nobody writes while it looks."""
        self._paused = True
        wait_for("nothing is under way", lambda: not self._under_way, TIMEOUT + 5)
        try:
            return list(self._lost())
        finally:
            self._paused = False

    def _lost(self) -> Iterator[str]:
        with httpx2.Client(base_url=self.address, timeout=TIMEOUT) as client:
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
