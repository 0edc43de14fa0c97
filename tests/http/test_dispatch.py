"""The dispatch of requests finds the same route, and the same parameters, as Starlette."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import Match

from game_api.http import health
from game_api.http.dispatch import Dispatch
from game_api.http.routing import ApiRoute
from game_api.players import routes as players
from game_api.sessions import routes as sessions

ROUTERS = (players.router, sessions.router, sessions.players_router, health.router)
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, ApiRoute)]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
segments = st.sampled_from(
    ["api", "v1", "players", "sessions", "session", "health", "ready", "detailed"]
    + ["", "ada", "{player_id}", "a b", "é", ".", "..", "\n", "a\n", "%2F"]
)
paths = st.one_of(
    st.lists(segments, max_size=7).map("/".join),
    st.lists(segments, max_size=4).map(lambda rest: "/".join(["/api/v1", *rest])),
)


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the request was passed on")


def found(path: str, method: str, root_path: str = "") -> tuple[Any, Any]:
    """The route, and the parameters in the path, that the dispatch has entered into the scope."""
    scope = {"type": "http", "method": method, "path": root_path + path, "root_path": root_path}
    handler = Dispatch(unreachable, ROUTERS)._handler(scope)
    assert (handler is not None) == ("route" in scope)
    return scope.get("route"), scope.get("path_params")


@given(path=paths, method=st.sampled_from(METHODS))
@example(path="/api/v1/sessions/s/players/ada", method="PUT")
@example(path="/api/v1/players/ada/session", method="GET")
@example(path="/api/v1/players/ada/session", method="PUT")
def test_the_route_is_the_one_that_starlette_finds(path: str, method: str) -> None:
    expected: tuple[Any, Any] = (None, None)
    if not path.endswith("\n"):  # Starlette ignores a line break at the end; the app serves it.
        for route in ROUTES:
            scope = {"type": "http", "method": method, "path": path, "root_path": ""}
            match, child = route.matches(scope)
            if match is Match.FULL:
                expected = route, child["path_params"]
                break
        assert found(path, method) == expected


def test_every_route_is_found() -> None:
    for route in ROUTES:
        for method in route.methods or ():
            path = route.path.replace("{", "").replace("}", "")
            names = dict.fromkeys(route.param_convertors)
            assert found(path, method) == (route, {name: name for name in names})


@pytest.mark.parametrize("root_path", ["/game", "/a/b"])
def test_the_root_path_is_not_part_of_a_route(root_path: str) -> None:
    route, parameters = found("/api/v1/players/ada", "GET", root_path)
    assert (route.operation_id, parameters) == ("getPlayer", {"player_id": "ada"})
