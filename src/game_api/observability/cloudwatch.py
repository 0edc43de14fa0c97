"""Delivery of log records to CloudWatch Logs, which never delays or fails a request.

watchtower queues records and sends them in batches from its own thread. This module adds a bounded
queue, retries of failed batches, a count of dropped records, and a time limit for the shutdown.
"""

import os
import queue
import time
from operator import itemgetter
from typing import Any

import boto3
import watchtower
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from game_api.observability.metrics import LOG_RECORDS_DROPPED, Metrics

MAX_QUEUED_BYTES = 8 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
SEND_SECONDS = 5
CLOSE_SECONDS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class BoundedQueue(queue.Queue[Any]):
    """A queue of log events that rejects further events when it holds too many bytes."""

    def __init__(self, refused: Any) -> None:
        super().__init__()
        self.bytes = 0
        self._refused = refused

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, dict) and self.bytes > MAX_QUEUED_BYTES:
            self._refused(1)
        else:
            super().put(item, block, timeout)

    def _put(self, item: Any) -> None:  # Both are called while the lock of the queue is held.
        self.bytes += size(item)
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
        self.addFilter(lambda record: not record.name.startswith(("botocore", "urllib3")))

    def _init_state(self) -> None:
        super()._init_state()
        self.queues = Queues(self._drop)

    @property
    def queued(self) -> int:
        """The number of records that wait for delivery."""
        return sum(waiting.qsize() for waiting in self.queues.values())

    def _drop(self, records: int) -> None:
        self.dropped += records
        self.metrics.count(LOG_RECORDS_DROPPED, amount=records)

    def _get_stream_name(self, message: Any) -> str:
        return self._stream

    def _submit_batch(
        self, batch: list[dict[str, Any]], log_stream_name: str, max_retries: int = 0
    ) -> None:
        """Deliver a batch; retry until it succeeds or the time limit of the shutdown has passed."""
        if not batch:
            return
        events = sorted(batch, key=itemgetter("timestamp"))
        pause = FIRST_PAUSE
        while True:
            try:
                self._put_events(log_stream_name, events)
                self.failure = None
                return
            except (BotoCoreError, ClientError, OSError) as error:
                code = type(error).__name__
                if isinstance(error, ClientError):
                    code = str(error.response.get("Error", {}).get("Code", code))
                self.failure = code
                if code == "InvalidParameterException":  # A retry would fail as well.
                    self._drop(len(events))
                    return
            if self._give_up_at is not None and time.monotonic() + pause > self._give_up_at:
                self._drop(len(events))
                return
            # Sleep in short intervals, so that the shutdown is noticed.
            until = time.monotonic() + pause
            while time.monotonic() < until and (
                self._give_up_at is None or time.monotonic() < self._give_up_at
            ):
                time.sleep(0.05)
            pause = min(2 * pause, LONGEST_PAUSE if self._give_up_at is None else FIRST_PAUSE)

    def _put_events(self, stream: str, events: list[dict[str, Any]]) -> None:
        where = {"logGroupName": self.log_group_name, "logStreamName": stream}
        try:
            answer = self.cwl_client.put_log_events(**where, logEvents=events)
        except self.cwl_client.exceptions.ResourceNotFoundException:
            self.cwl_client.create_log_stream(**where)
            answer = self.cwl_client.put_log_events(**where, logEvents=events)
        rejected = answer.get("rejectedLogEventsInfo", {})
        too_old = max(
            rejected.get("tooOldLogEventEndIndex", 0), rejected.get("expiredLogEventEndIndex", 0)
        )
        if refused := too_old + len(events) - rejected.get("tooNewLogEventStartIndex", len(events)):
            self._drop(refused)

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
