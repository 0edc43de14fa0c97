"""Rate limits: moving windows in the memory of this process."""

import math
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from game_api.access.errors import RateLimited

IPV6_PREFIX = 64
"""The length of the prefix of a customer's network, whose addresses count as one."""


class Windows(MemoryStorage):
    """The times of the requests within each window, for limits with the same period.

    The storage of the library starts a thread for requests that it has to forget, and keeps each
    key for ever. This one forgets whatever has left its window, on each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        """Sorted by the last request of each key."""

    def __len__(self) -> int:
        return len(self._times)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        self._forget(time.monotonic() - expiry)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = deque()
        elif len(times) + amount > limit:
            self._trim(times, expiry)
        if len(times) + amount > limit:
            return False
        times.extend([time.monotonic()] * amount)
        self._times.move_to_end(key)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        times = self._times.get(key)
        if times is None:
            return time.monotonic(), 0
        self._trim(times, expiry)
        return (times[0] if times else time.monotonic()), len(times)

    def _forget(self, before: float) -> None:
        """Forget the keys whose last request is older."""
        while self._times:
            key, times = next(iter(self._times.items()))
            if times and times[-1] > before:
                return
            del self._times[key]

    @staticmethod
    def _trim(times: deque[float], expiry: int) -> None:
        before = time.monotonic() - expiry
        while times and times[0] <= before:
            times.popleft()


@dataclass(frozen=True)
class Usage:
    """How much of a limit is used: what remains, and in how many seconds some of it returns."""

    name: str
    limit: RateLimitItem
    remaining: int
    reset: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers `RateLimit` and `RateLimit-Policy` of the IETF draft."""
        window = self.limit.get_expiry()
        return [
            (b"ratelimit", f'"{self.name}";r={self.remaining};t={self.reset}'.encode()),
            (b"ratelimit-policy", f'"{self.name}";q={self.limit.amount};w={window}'.encode()),
        ]

    def refusal(self, detail: str) -> RateLimited:
        return RateLimited(self.reset, detail)


class Limiter:
    """A limit for each of many keys, such as principals or addresses."""

    def __init__(self, name: str, limit: RateLimitItem) -> None:
        self.name = name
        self.limit = limit
        self._windows = Windows()
        self._strategy = MovingWindowRateLimiter(self._windows)

    @property
    def unused(self) -> bool:
        """Whether no key has anything in its window."""
        return not self._windows

    def hit(self, key: str) -> tuple[bool, Usage]:
        """Count a request, if the limit allows it; returns whether it does."""
        return self._strategy.hit(self.limit, key), self.usage(key)

    def usage(self, key: str) -> Usage:
        stats = self._strategy.get_window_stats(self.limit, key)
        reset = max(1, math.ceil(stats.reset_time - time.monotonic()))
        return Usage(self.name, self.limit, stats.remaining, reset)


def client_address(peer: str, forwarded: str, trusted_proxies: int) -> str:
    """The address that a request counts for: an IPv4 address, or an IPv6 network.

    `forwarded` is the value of X-Forwarded-For, to which each proxy adds the address that it was
    called from. Only what the trusted proxies have added is believed. If something else called
    the service, or the header makes no sense, it is the address of the `peer`.
    """
    hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
    text = hops[-trusted_proxies] if 0 < trusted_proxies <= len(hops) else peer
    return _counted(text) or _counted(peer) or peer


def _counted(text: str) -> str | None:
    """The address or network that an address counts for; None if it is not an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
