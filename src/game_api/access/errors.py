"""Why a request is not accepted, whatever it asks for."""

from game_api.errors import ApiError, Conflict


class Unauthenticated(ApiError):
    """The request needs a valid token: `Authorization: Bearer TOKEN`."""

    status = 401
    code = "unauthenticated"

    def __init__(self, detail: str | None = None, invalid: bool = False) -> None:
        super().__init__(detail)
        self.invalid = invalid
        """Whether there was a token."""
        self.headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if invalid else "Bearer"}


class Forbidden(ApiError):
    """The caller's role does not permit this operation, or not on this resource."""

    status = 403
    code = "forbidden"


class KeysUnavailable(ApiError):
    """The keys that verify tokens could not be fetched yet."""

    status = 503
    code = "keys_unavailable"
    retry_after = 1


class RateLimited(ApiError):
    """There were too many requests; the limit is shown in `RateLimit-Policy`."""

    status = 429
    code = "rate_limited"

    def __init__(self, retry_after: int, detail: str | None = None) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class IdempotencyKeyReused(ApiError):
    """The same `Idempotency-Key` was sent with another body within the last 24 hours."""

    status = 422
    code = "idempotency_key_reused"


class RequestInProgress(Conflict):
    """A request with the same `Idempotency-Key` is still running."""

    code = "request_in_progress"
    retry_after = 1
