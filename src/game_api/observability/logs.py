"""Logs: every record becomes one line on standard output and, if configured, in CloudWatch Logs.

A line is JSON, or readable text at a terminal. Messages, paths, request ids and tracebacks are
redacted before they are written, because they may contain secrets.
"""

import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from game_api import __version__
from game_api.clock import rfc3339
from game_api.observability.metrics import LOG_RECORDS_DROPPED, Metrics
from game_api.observability.redaction import Redactor
from game_api.settings import Settings, SettingsError

if TYPE_CHECKING:
    from game_api.observability.cloudwatch import CloudWatchHandler

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)
"""The id of the request that is being served."""

METRICS_LOGGER = "game_api.metrics"
"""Records of this logger are metric documents; the line is their message and nothing else."""

MAX_RECORDS = 10_000
"""The number of records that may wait to be written."""
WRITE_SECONDS = 0.05
CLOSE_SECONDS = 3

MAX_TEXT = 30_000
"""Characters of a message or traceback, so that a line stays far below CloudWatch's 1 MiB."""

CONTROLS = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x2070),
)
"""Characters that end a line, control a terminal or change the direction of text."""
ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in CONTROLS}

LEVEL_COLORS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
STATUS_COLORS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}


def encodable(text: str) -> str:
    """The text with escapes in place of lone surrogates, which can't be encoded as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


class LineFormatter(logging.Formatter):
    """Formats a record as one JSON line, once for all handlers."""

    def __init__(self, redact: Callable[[str], str], pod: str) -> None:
        super().__init__()
        self.redact = redact
        self.pod = encodable(pod)

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = record.__dict__.get("line")
        if line is None:
            line = record.__dict__["line"] = self.line(record)
        return line

    def line(self, record: logging.LogRecord) -> str:
        if record.name == METRICS_LOGGER:
            return record.getMessage()
        entry: dict[str, Any] = {
            "timestamp": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.text(record.getMessage()),
        }
        if request_id := record.__dict__.get("request_id"):
            entry["request_id"] = self.redact(request_id)
        if access := record.__dict__.get("access"):
            entry |= self.access(access, entry["message"])
        entry["pod"], entry["version"] = self.pod, __version__
        if record.exc_info:
            entry["exception"] = self.text(self.formatException(record.exc_info))
        return to_json(entry).decode()

    def text(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            text = f"{text[: MAX_TEXT // 2]} ... {text[-MAX_TEXT // 2 :]}"
        return encodable(self.redact(text))

    def access(self, access: dict[str, Any], message: str) -> dict[str, Any]:
        """The fields of a served request, of which `message` is the method and the path.

        Only what comes from outside is redacted, and only once: that costs more than the rest.
        """
        method, _, path = message.partition(" ")
        fields = access | {"method": method, "path": path}
        if "caller" in fields:
            fields["caller"] = self.text(fields["caller"])
        return fields


class ConsoleFormatter(LineFormatter):
    """Human-readable format for terminals.

    Control characters are escaped, and tracebacks are indented, so that no text that comes from a
    client can look like another record or control the terminal.
    """

    def __init__(self, redact: Callable[[str], str], pod: str, color: bool) -> None:
        super().__init__(redact, pod)
        self.color = color

    def format(self, record: logging.LogRecord) -> str:
        if record.name == METRICS_LOGGER:
            return record.getMessage()
        access = record.__dict__.get("access")
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        message = self.escaped(record.getMessage())
        if access:
            status = self.painted(str(access["status"]), STATUS_COLORS.get(access["status"] // 100))
            text = f"{message} {status} {access['duration_ms']:.1f} ms"
            if access["status"] >= 400:
                text += f"  {self.escaped(record.__dict__.get('request_id', ''))}"
        else:
            text = f"{self.escaped(record.name)}: {message}"
        if record.exc_info:
            for line in self.text(self.formatException(record.exc_info)).split("\n"):
                text += f"\n    {line.translate(ESCAPES)}"
        level = self.painted(f"{record.levelname:<7}", LEVEL_COLORS.get(record.levelname))
        return f"{time} {level} {text}"

    def escaped(self, text: str) -> str:
        return self.text(text).translate(ESCAPES)

    def painted(self, text: str, color: str | None) -> str:
        return f"{color}{text}\x1b[0m" if self.color and color else text


class QueueHandler(logging.Handler):
    """Queues records, which a separate thread formats and writes.

    Formatting and writing in the event loop would cost a request more than the rest of logging. It
    would also block the service whenever the reader of standard output stalls.
    """

    def __init__(
        self,
        lines: LineFormatter,
        cloudwatch: "CloudWatchHandler | None",
        metrics: Metrics,
        with_metrics: bool,
    ) -> None:
        super().__init__()
        self.with_metrics = with_metrics
        self.setFormatter(lines)
        self.dropped = 0
        self._cloudwatch = cloudwatch
        self._metrics = metrics
        # The bare descriptor: a thread that blocks in a buffered file would block the exit, too.
        self._output = sys.stdout.fileno()
        self._records: deque[logging.LogRecord] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._records) >= MAX_RECORDS:
            self._drop()
            return
        try:
            record.msg, record.args = record.getMessage(), None  # Before the arguments change.
        except Exception:
            self.handleError(record)
            return
        self._records.append(record)
        if record.levelno >= logging.WARNING:
            self._wake.set()

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a record that can't be formatted, and write a line that says where it was made.

        The record itself is not written anywhere, because it could not be redacted either.
        """
        self._drop()
        if record.__dict__.get("replacement") or len(self._records) >= MAX_RECORDS:
            return
        place, error = f"{record.pathname}:{record.lineno}", type(sys.exception()).__name__
        text = f"a log record made at {place} can't be written ({error})"
        fields = {
            **{"name": record.name, "levelno": logging.ERROR, "levelname": "ERROR", "msg": text},
            **{"request_id": record.__dict__.get("request_id"), "replacement": True},
        }
        self._records.append(logging.makeLogRecord(fields))

    def _drop(self) -> None:
        self.dropped += 1
        self._metrics.count(LOG_RECORDS_DROPPED)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(WRITE_SECONDS)
            self._wake.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        """Write all queued records at once, and hand them to CloudWatch."""
        lines = []
        while self._records:
            record = self._records.popleft()
            try:
                if self.with_metrics or record.name != METRICS_LOGGER:
                    lines.append(self.format(record) + "\n")
                if self._cloudwatch is not None:
                    self._cloudwatch.handle(record)
            except Exception:
                self.handleError(record)
        rest = "".join(lines).encode("utf-8", "backslashreplace")
        try:
            while rest:
                rest = rest[os.write(self._output, rest) :]
        except OSError:  # The reader has closed standard output.
            self.dropped += len(lines)

    def close(self) -> None:
        """Write the remaining records."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        super().close()


class Logs:
    """The destinations of records, made by `configure` and closed last."""

    def __init__(
        self,
        queue: QueueHandler | None = None,
        cloudwatch: "CloudWatchHandler | None" = None,
        readable: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        self.queue = queue
        self.cloudwatch = cloudwatch
        self.readable = readable
        self._redactor = redactor

    def redact(self, secret: str) -> None:
        """Remove a secret from every line from now on."""
        if self._redactor is not None:
            self._redactor.add(secret)

    def close(self) -> None:
        """Write and deliver the queued records, within a bounded time."""
        if self.queue is not None:
            self.queue.close()
        if self.cloudwatch is not None:
            self.cloudwatch.close()


def record_with_request_id(*arguments: Any, **keywords: Any) -> logging.LogRecord:
    """A record that carries the id of the current request, because it is formatted elsewhere."""
    record = logging.LogRecord(*arguments, **keywords)
    if (request_id := current_request_id.get()) is not None:
        record.request_id = request_id
    return record


def configure(settings: Settings, metrics: Metrics) -> Logs:
    """Send the records of every logger to the configured destinations. Raises SettingsError."""
    redactor = Redactor(settings)
    pod = settings.pod_name or socket.gethostname()
    json_lines = LineFormatter(redactor, pod)
    cloudwatch = cloudwatch_handler(settings, metrics)
    if cloudwatch is not None:
        cloudwatch.setFormatter(json_lines)
    terminal = sys.stdout.isatty()
    readable = settings.log_format == "console" or (settings.log_format is None and terminal)
    lines = ConsoleFormatter(redactor, pod, color=terminal) if readable else json_lines
    queue = QueueHandler(lines, cloudwatch, metrics, with_metrics=settings.metrics == "stdout")
    logging.setLogRecordFactory(record_with_request_id)
    # No line shows these, so they need not be collected for each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    setattr(logging, "logAsyncioTasks", False)  # Python 3.12 has it, but typeshed does not.
    logging.basicConfig(level=settings.log_level.upper(), handlers=[queue], force=True)
    logging.getLogger(METRICS_LOGGER).setLevel(logging.INFO)
    for verbose in ("botocore", "boto3", "urllib3", "pymongo", "httpx2", "httpcore2"):
        logging.getLogger(verbose).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return Logs(queue, cloudwatch, readable=readable, redactor=redactor)


def cloudwatch_handler(settings: Settings, metrics: Metrics) -> "CloudWatchHandler | None":
    """The handler that delivers records to CloudWatch Logs, if configured. Raises SettingsError."""
    if settings.cloudwatch_log_group is None:
        return None
    # These modules import the AWS SDK, which takes a third of a second and 30 MB of memory.
    from botocore.exceptions import BotoCoreError

    from game_api.observability.cloudwatch import CloudWatchHandler

    try:
        return CloudWatchHandler(
            settings.cloudwatch_log_group, settings.cloudwatch_log_stream, metrics
        )
    except BotoCoreError as error:
        raise SettingsError([f"GAME_API_CLOUDWATCH_LOG_GROUP: {error}"]) from None
