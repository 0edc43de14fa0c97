"""Steps: what happens to a request before and after the endpoint, chosen when the app is made."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Step = Callable[[Handler], Handler]
"""Returns a handler that does something before or around the given one."""
