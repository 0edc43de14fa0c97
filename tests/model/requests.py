"""The requests of the scenarios, what each of them changes, and which responses are true."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from game_api.access.caller import SYSTEM
from game_api.access.errors import RequestInProgress
from game_api.access.creation import Creation
from game_api.access.idempotency import Answer
from game_api.errors import ApiError
from game_api.players.errors import PlayerExists, PlayerNotFound, UsernameTaken
from game_api.players.model import Player
from game_api.sessions.errors import AlreadyInSession
from game_api.sessions.model import Session
from game_api.values import LIVE
from tests.build import LATER, a_player, a_session
from tests.model.documents import Document
from tests.model.memory import Contents
from tests.model.process import Stores, Told

Facts = frozenset[str]
"""What has been true at any time: `ada in a`, `no ada`, `a has 0 free`, `a is over`."""


def seats(document: Document | None) -> set[str]:
    """The players who have seats in a session, if it is live."""
    if document is None or document.get("status") not in LIVE:
        return set()
    return {member["player_id"] for member in document["members"]}


def exists(contents: Contents, session_id: str) -> bool:
    """Whether there is a session with this id, and not only a tombstone."""
    document = contents.document("sessions", session_id)
    return document is not None and "version" in document


def players_in(contents: Contents) -> list[Document]:
    """The players, without the traces of those who are deleted."""
    return [player for player in contents.collection("players") if "version" in player]


@dataclass(frozen=True)
class Join:
    """Players join a session, all or none."""

    session_id: str
    players: tuple[str, ...]

    async def run(self, stores: Stores) -> Any:
        session, events = await stores.sessions.join(
            self.session_id, lambda session: session.join(self.players, None, SYSTEM, LATER)
        )
        assert {member.player_id for member in session.members} >= set(self.players)
        return bool(events), self.session_id, session.version

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (seats(c.document("sessions", self.session_id)) for c in (before, after))
        return set(self.players) <= new and not set(self.players) <= old

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        session_id, players = details.get("session_id"), self.players
        return {
            "already_in_session": session_id != self.session_id
            and details.get("player_id") in players
            and f"{details.get('player_id')} in {session_id}" in facts,
            "player_not_found": any(f"no {player_id}" in facts for player_id in players),
            "session_full": any(
                f"{self.session_id} has {free} free" in facts for free in range(len(players))
            ),
            "session_not_joinable": f"{self.session_id} is over" in facts,
            "session_not_found": f"no {self.session_id}" in facts,
        }.get(code, False)


@dataclass(frozen=True)
class Leave:
    """A player leaves a session."""

    session_id: str
    player_id: str

    async def run(self, stores: Stores) -> Any:
        session, _ = await stores.sessions.change(
            self.session_id, lambda session: session.leave(self.player_id, SYSTEM, LATER)
        )
        assert not session.live or session.member(self.player_id) is None
        return None, self.session_id, session.version

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (c.document("sessions", self.session_id) for c in (before, after))
        return self.player_id in seats(old) - seats(new) and seats(new) < seats(old)

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return False


@dataclass(frozen=True)
class End:
    """A session is cancelled."""

    session_id: str

    async def run(self, stores: Stores) -> Any:
        session, _ = await stores.sessions.change(
            self.session_id, lambda session: session.change({"status": "cancelled"}, SYSTEM, LATER)
        )
        return None, self.session_id, session.version

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (c.document("sessions", self.session_id) or {} for c in (before, after))
        return old.get("status") in LIVE and new.get("status") == "cancelled"

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return False


@dataclass(frozen=True)
class Ready:
    """A member toggles its readiness: a change that needs no claim."""

    session_id: str
    player_id: str

    async def run(self, stores: Stores) -> Any:
        session, _ = await stores.sessions.change(
            self.session_id,
            lambda session: session.change_member(self.player_id, {"ready": True}, SYSTEM, LATER),
        )
        return None, self.session_id, session.version

    def made(self, before: Contents, after: Contents) -> bool:
        return self._is_ready(after) and not self._is_ready(before)

    def _is_ready(self, contents: Contents) -> bool:
        document = contents.document("sessions", self.session_id) or {}
        members = {m["player_id"]: m["ready"] for m in document.get("members", ())}
        return bool(members.get(self.player_id))

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return False


@dataclass(frozen=True)
class Create:
    """A session is created, with a host if there is one."""

    session_id: str
    players: tuple[str, ...] = ()
    max_players: int = 4

    async def run(self, stores: Stores) -> Any:
        session = await stores.sessions.create(self._session())
        return True, session.id, session.version

    def _session(self) -> Session:
        return a_session(*self.players, id=self.session_id, max_players=self.max_players)

    def made(self, before: Contents, after: Contents) -> bool:
        ids = {document["_id"] for document in after.collection("sessions")}
        return any(exists(after, each) and not exists(before, each) for each in ids)

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return Join(self.session_id, self.players).justified(code, details, facts)


@dataclass(frozen=True)
class CreatePlayer:
    """A player is created."""

    player_id: str
    username: str = ""

    async def run(self, stores: Stores) -> Any:
        username = self.username or self.player_id
        player = a_player(self.player_id, username=username, username_key=username)
        await stores.players.create(player)
        return True, player.incarnation, player.version

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (c.document("players", self.player_id) for c in (before, after))
        return old is None and new is not None

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return {
            "player_exists": f"{self.player_id} exists" in facts,
            "username_taken": f"{self.username or self.player_id} is taken" in facts,
        }.get(code, False)


@dataclass(frozen=True)
class Rename:
    """A player takes another username."""

    player_id: str
    username: str

    async def run(self, stores: Stores) -> Any:
        old = ""

        def rule(player: Player) -> Any:
            nonlocal old
            old = player.username
            return player.change({"username": self.username}, LATER)

        player, _ = await stores.players.change(self.player_id, rule)
        return old != player.username, player.incarnation, player.version

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (c.document("players", self.player_id) or {} for c in (before, after))
        return old.get("username") != self.username == new.get("username") and bool(old)

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return {
            "player_not_found": f"no {self.player_id}" in facts,
            "username_taken": f"{self.username} is taken" in facts,
        }.get(code, False)


@dataclass(frozen=True)
class DeletePlayer:
    """A player is deleted."""

    player_id: str

    async def run(self, stores: Stores) -> Any:
        incarnation = ""

        def check(player: Player) -> None:
            nonlocal incarnation
            incarnation = player.creation or player.incarnation

        await stores.players.delete(self.player_id, check)
        return None, incarnation

    def made(self, before: Contents, after: Contents) -> bool:
        old, new = (c.document("players", self.player_id) for c in (before, after))
        return old is not None and new is None

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return {
            "player_not_found": f"no {self.player_id}" in facts,
            "in_session": f"{self.player_id} in {details.get('session_id')}" in facts,
        }.get(code, False)


class Repeated(ApiError):
    """The refusal that was the first answer."""

    status = 409

    def __init__(self, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(**details)
        # The code of an error is a class variable, but here it differs between instances.
        self.code = code  # type: ignore[misc]


@dataclass(frozen=True)
class Keyed:
    """A creation with an idempotency key; all of a scenario have the same key."""

    creation: Create | CreatePlayer

    async def run(self, stores: Stores) -> Any:
        """Create it as the routes and `http/idempotency.py` do."""
        begun = await stores.keyed_requests.begin("me", "POST", "/", "key", b"body")
        if isinstance(begun, Answer):
            return self._told(begun)
        kept = False
        try:
            try:
                created = await self._create(stores, begun.creation)
                answer = Answer(status=201, headers={}, body=created)
            except (PlayerExists, UsernameTaken, PlayerNotFound, AlreadyInSession) as error:
                details = json.dumps(error.extra)
                answer = Answer(status=409, headers={"code": error.code}, body=details)
            answer = await stores.keyed_requests.finish(begun, answer)
            kept = True
        finally:
            if not kept:
                stores.keyed_requests.release(begun, nothing_written=False)
        return self._told(answer)

    async def _create(self, stores: Stores, creation: Creation) -> str:
        wanted = self.creation
        if isinstance(wanted, CreatePlayer):
            player = a_player(
                wanted.player_id,
                username=wanted.username or wanted.player_id,
                username_key=wanted.username or wanted.player_id,
                incarnation=creation.incarnation,
                creation=creation.incarnation,
            )
            await stores.players.create(player, creation.repeated)
            return player.id
        session = a_session(
            *wanted.players, id=creation.id, incarnation=creation.incarnation, keyed=True
        )
        return (await stores.sessions.create(session, creation.repeated)).id

    def _told(self, answer: Answer) -> Any:
        if answer.status != 201:
            raise Repeated(answer.headers["code"], json.loads(answer.body))
        return True, answer.body, 1

    def made(self, before: Contents, after: Contents) -> bool:
        return self.creation.made(before, after)

    def justified(self, code: str, details: Mapping[str, str], facts: Facts) -> bool:
        return code == IN_PROGRESS or self.creation.justified(code, details, facts)


IN_PROGRESS = RequestInProgress.code
ModelRequest = Join | Leave | End | Ready | Create | CreatePlayer | Rename | DeletePlayer | Keyed


def contradiction(
    request: ModelRequest, told: Told | None, made: int, facts: Facts, contents: Contents
) -> str | None:
    """How the response to a request contradicts what the request has changed so far."""
    if made > 1:
        return f"{request} was made {made} times"
    if told is None or told.kind == "unavailable":
        return None
    if told.kind == "error":
        return f"{request} failed: {told.details}"
    if told.kind == "done":
        changed, document_id = told.details[:2]
        if changed is not None and changed != bool(made):
            return f"{request} was told {told}, and it was made {made} times"
        if isinstance(request, Create) and not exists(contents, document_id):
            return f"{request} was told {told}, and there is no such session"
        if isinstance(request, DeletePlayer):
            player = contents.document("players", request.player_id)
            if player is not None and (player["creation"] or player["birth"]) == document_id:
                return f"{request} was told {told}, and the player exists"
        return None
    code, details = told.details
    if made and code != IN_PROGRESS:
        return f"{request} was told {told}, and it was made"
    if not request.justified(code, dict(details), facts):
        return f"{request} was told {told}, and that was never the case"
    return None


def facts_of(contents: Contents, ids: Mapping[str, tuple[str, ...]]) -> Facts:
    """What is true in these contents about players and sessions with these ids."""
    facts = set()
    for player_id in ids["players"]:
        found = contents.document("players", player_id)
        facts.add(f"{player_id} exists" if found else f"no {player_id}")
    for document in players_in(contents):
        facts.add(f"{document['username']} is taken")
    for session_id in ids["sessions"]:
        if not exists(contents, session_id):
            facts.add(f"no {session_id}")
    for document in contents.collection("sessions"):
        session_id = document["_id"]
        facts |= {f"{player_id} in {session_id}" for player_id in seats(document)}
        if "version" in document and document["status"] not in LIVE:
            facts.add(f"{session_id} is over")
        facts.add(f"{session_id} has {document.get('free_slots')} free")
    return frozenset(facts)
