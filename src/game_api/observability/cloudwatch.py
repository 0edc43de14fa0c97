"""Delivery of log records to CloudWatch Logs, which never delays or fails a request.

watchtower queues records and sends them in batches from its own thread. This module adds a bounded
queue, retries of failed batches, a count of dropped records, and a time limit for the shutdown. A
batch that CloudWatch refuses for good is dropped, so that it does not hold up the next ones.
"""

import contextlib
import logging
import os
import queue
import time
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import boto3
import watchtower
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from game_api.observability.metrics import LOG_RECORDS_DROPPED, Metrics

MAX_QUEUED_BYTES = 8 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
SEND_SECONDS = 5
CLOSE_SECONDS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0

PASSING_STATUSES = {401, 403, 407, 408, 425, 429}
PASSING_CODES = {
    # Too many requests.
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "OperationAbortedException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServiceQuotaExceededException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    # Credentials or permissions that have expired or are not in place yet, and a wrong clock.
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestInTheFuture",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    # An interruption.
    "InternalFailure",
    "RequestAbortedException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    # The log group was deleted, or does not exist yet.
    "ResourceNotFoundException",
}
"""Error codes of AWS after which the same batch may be accepted later."""

log = logging.getLogger(__name__)


def code_of(error: Exception) -> str:
    """The error code of AWS, or the name of another error."""
    name = type(error).__name__
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or name)
    return name


def may_pass(error: Exception) -> bool:
    """Whether the same batch may be accepted later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status in PASSING_STATUSES or code_of(error) in PASSING_CODES
    # Without a response: no connection, a timeout, no credentials.
    return isinstance(error, BotoCoreError | OSError) and not isinstance(
        error, ParamValidationError
    )


class BoundedQueue(queue.Queue[Any]):
    """A queue of log events that rejects further events when it holds too many bytes."""

    def __init__(self, refused: Any) -> None:
        super().__init__()
        self.bytes = 0
        self.accepted = 0
        """The number of events that were ever accepted."""
        self._refused = refused

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, dict) and self.bytes > MAX_QUEUED_BYTES:
            self._refused(1)
        else:
            super().put(item, block, timeout)

    def _put(self, item: Any) -> None:  # Both are called while the lock of the queue is held.
        self.bytes += size(item)
        self.accepted += isinstance(item, dict)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.bytes -= size(item)
        return item


def size(item: Any) -> int:
    """The approximate size of an event in bytes; the control signals of watchtower have none."""
    return len(item["message"]) + 200 if isinstance(item, dict) else 0


class CloudWatchHandler(watchtower.CloudWatchLogHandler):
    """Queues records and delivers them to one stream of one log group."""

    def __init__(self, group: str, stream: str, metrics: Metrics) -> None:
        self.metrics = metrics
        self.dropped = 0
        self.failure: str | None = None
        """Why the last delivery failed; None if it succeeded."""
        self._settled = 0
        """The number of records that were delivered or dropped after they had been queued."""
        self._stream = stream
        self._give_up_at: float | None = None
        self.FLUSH_TIMEOUT = CLOSE_SECONDS + 1
        client = boto3.client(
            "logs",
            region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1}),
        )
        super().__init__(
            group,
            stream,
            boto3_client=client,
            create_log_group=False,
            create_log_stream=False,
            send_interval=SEND_SECONDS,
            max_message_size=MAX_RECORD_BYTES,
        )
        # Records about the delivery itself must not cause further deliveries.
        self.addFilter(lambda record: not record.name.startswith(("botocore", "urllib3", __name__)))

    def _init_state(self) -> None:
        super()._init_state()
        self.queues = Queues(self._drop)

    @property
    def queued(self) -> int:
        """The number of records that wait for delivery or are being delivered."""
        queues: Mapping[str, BoundedQueue] = self.queues
        return sum(waiting.accepted for waiting in queues.values()) - self._settled

    def _drop(self, records: int) -> None:
        self.dropped += records
        self.metrics.count(LOG_RECORDS_DROPPED, amount=records)

    def _get_stream_name(self, message: Any) -> str:
        return self._stream

    def _submit_batch(
        self, batch: list[dict[str, Any]], log_stream_name: str, max_retries: int = 0
    ) -> None:
        """Deliver a batch, or drop it if it is refused for good.

        Retries until it succeeds or the time limit of the shutdown has passed.
        """
        if not batch:
            return
        events = sorted(batch, key=itemgetter("timestamp"))
        pause = FIRST_PAUSE
        while not self._deliver(log_stream_name, events):
            if self._give_up_at is not None and time.monotonic() + pause > self._give_up_at:
                self._drop(len(events))
                break
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE if self._give_up_at is None else FIRST_PAUSE)
        self._settled += len(events)

    def _deliver(self, stream: str, events: list[dict[str, Any]]) -> bool:
        """Try to deliver a batch; returns whether it is settled."""
        try:
            self._put_events(stream, events)
            self.failure = None
            return True
        except Exception as error:  # An unexpected one must not end the thread of watchtower.
            code, refused = code_of(error), not may_pass(error)
            if refused:
                self._drop(len(events))
                if code != self.failure:  # Not for each of many batches.
                    log.error("CloudWatch Logs refused %d records: %s", len(events), code)
            self.failure = code
            return refused

    def _sleep(self, seconds: float) -> None:
        """Sleep in short intervals, so that the shutdown is noticed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (
            self._give_up_at is None or time.monotonic() < self._give_up_at
        ):
            time.sleep(0.05)

    def _put_events(self, stream: str, events: list[dict[str, Any]]) -> None:
        where = {"logGroupName": self.log_group_name, "logStreamName": stream}
        try:
            answer = self.cwl_client.put_log_events(**where, logEvents=events)
        except self.cwl_client.exceptions.ResourceNotFoundException:
            # Another process may have created it in the meantime.
            with contextlib.suppress(self.cwl_client.exceptions.ResourceAlreadyExistsException):
                self.cwl_client.create_log_stream(**where)
            answer = self.cwl_client.put_log_events(**where, logEvents=events)
        rejected = answer.get("rejectedLogEventsInfo", {})
        too_old = max(
            rejected.get("tooOldLogEventEndIndex", 0), rejected.get("expiredLogEventEndIndex", 0)
        )
        if refused := too_old + len(events) - rejected.get("tooNewLogEventStartIndex", len(events)):
            self._drop(refused)

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a record that can't be formatted."""
        self._drop(1)

    def close(self) -> None:
        """Deliver the queued records within five seconds; the remaining ones are dropped."""
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + CLOSE_SECONDS
        super().close()


class Queues(dict[str, BoundedQueue]):
    """The queues of watchtower by stream; each queue that it adds is replaced by a bounded one."""

    def __init__(self, refused: Any) -> None:
        super().__init__()
        self._refused = refused

    def __setitem__(self, stream: str, _: object) -> None:
        super().__setitem__(stream, BoundedQueue(self._refused))
