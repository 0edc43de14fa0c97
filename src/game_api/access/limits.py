"""Rate limits: moving windows in the memory of this process."""

import math
import time
from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from limits import RateLimitItem

from game_api.access.errors import RateLimited

IPV6_PREFIX = 64
"""The length of the prefix of a customer's network, whose addresses count as one."""


class Usage(NamedTuple):
    """How much of a limit is used: what remains, and in how many seconds some of it returns."""

    limiter: "Limiter"
    remaining: int
    reset: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers `RateLimit` and `RateLimit-Policy` of the IETF draft."""
        limit = f'"{self.limiter.name}";r={self.remaining};t={self.reset}'
        return [(b"ratelimit", limit.encode()), self.limiter.policy]

    def refusal(self, detail: str) -> RateLimited:
        return RateLimited(self.reset, detail)


class Limiter:
    """A limit for each of many keys, such as principals or addresses.

    The storage of the library `limits` starts a thread for what it has to forget, and keeps each
    key for ever. This one forgets whatever has left its window, on each request.
    """

    def __init__(self, name: str, limit: RateLimitItem) -> None:
        self.name = name
        self.limit = limit
        self._period = limit.get_expiry()
        policy = f'"{name}";q={limit.amount};w={self._period}'
        self.policy = (b"ratelimit-policy", policy.encode())
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        """The times of the requests of each key, sorted by the last request of each."""

    @property
    def unused(self) -> bool:
        """Whether no key has anything in its window."""
        return not self._times

    def hit(self, key: str) -> tuple[bool, Usage]:
        """Count a request, if the limit allows it; returns whether it does."""
        now = time.monotonic()
        self._forget(now)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = deque()
        allowed = self._used(times, now) < self.limit.amount
        if allowed:
            times.append(now)
            self._times.move_to_end(key)
        return allowed, self._usage(times, now)

    def usage(self, key: str) -> Usage:
        """How much of the limit the key has used; this counts nothing."""
        return self._usage(self._times.get(key, deque()), time.monotonic())

    def _usage(self, times: deque[float], now: float) -> Usage:
        remaining = self.limit.amount - self._used(times, now)
        reset = max(1, math.ceil(times[0] + self._period - now)) if times else 1
        return Usage(self, remaining, reset)

    def _used(self, times: deque[float], now: float) -> int:
        """The number of requests within the window; earlier ones are forgotten."""
        while times and times[0] <= now - self._period:
            times.popleft()
        return len(times)

    def _forget(self, now: float) -> None:
        """Forget the keys whose last request has left the window."""
        while self._times:
            key, times = next(iter(self._times.items()))
            if times and times[-1] > now - self._period:
                return
            del self._times[key]


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
