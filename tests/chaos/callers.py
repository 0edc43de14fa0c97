"""Who sends an operation, and with which `Idempotency-Key`."""

import random

from tests.chaos.credentials import KEY_PREFIX
from tests.chaos.history import Operation
from tests.chaos.world import World

ROLES = {"admin": 50, "server": 10, "player": 40}
"""How often each role is chosen, in relation to the others."""
POSTS = {"create player", "create session", "create session with host", "party"}


def choose_caller(operation: Operation, world: World, chance: random.Random) -> None:
    """Choose who sends the operation; a player mostly is one who may do so."""
    (operation.role,) = chance.choices(list(ROLES), list(ROLES.values()))
    operation.subject = operation.role
    if operation.role == "player":
        operation.subject = choose_player(operation, world, chance)
        _act_as_player(operation, chance)
    if chance.random() < 0.02:
        operation.token = chance.choice(("missing", "expired", "forged"))


def choose_player(operation: Operation, world: World, chance: random.Random) -> str:
    host = world.hosts.get(str(operation.session_id))
    likely = [*operation.player_ids, *filter(None, [host])]
    if likely and chance.random() < 0.85:
        return chance.choice(likely)
    return chance.choice(sorted(world.existing) or world.players)


def _act_as_player(operation: Operation, chance: random.Random) -> None:
    """Fill in the player that an operation without a player is about: the caller."""
    subject = (operation.subject,)
    if operation.kind == "create session":
        operation.kind, operation.player_ids = "create session with host", subject
    elif operation.kind == "create player" and not operation.player_ids:
        operation.player_ids = subject
    elif operation.kind == "party" and chance.random() < 0.7:
        operation.player_ids = subject
    elif operation.player_ids == subject and chance.random() < 0.3:
        for field in ("player_id", "host_player_id"):
            operation.body.pop(field, None)


def choose_key(operation: Operation, world: World, chance: random.Random) -> None:
    """Give most POSTs a key."""
    if operation.kind in POSTS and operation.token == "good" and chance.random() < 0.75:
        operation.key = f"{KEY_PREFIX}{operation.marker}"
        world.keyed.append(operation)


def repeat(world: World, chance: random.Random) -> Operation:
    """A request with a key once more; sometimes with another body, which should be refused."""
    operation = chance.choice(world.keyed)
    if operation.kind == "party" or chance.random() < 0.75:
        return world.again(operation)
    other = world.operation(operation.kind, *operation.player_ids)
    other.role, other.subject, other.key = operation.role, operation.subject, operation.key
    for name, value in operation.body.items():
        marked = value == operation.marker
        other.body[name] = other.marker if marked else value
    if other.kind == "create player":
        other.body["attributes"] = {"writer": other.marker}
    return other
