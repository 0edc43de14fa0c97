"""Logs: one formatter for everything, to standard output and, when configured, to CloudWatch.

A record becomes one line: JSON, or readable at a terminal. Whatever may hold a secret (messages,
paths, request ids, tracebacks) is redacted on its way into the line.
"""

import json
import logging
import os
import re
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import SecretStr

from game_api import __version__
from game_api.clock import rfc3339
from game_api.metrics import LOG_RECORDS_DROPPED, Metrics
from game_api.settings import Settings, SettingsError

if TYPE_CHECKING:
    from game_api.cloudwatch import CloudWatchHandler

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being served."""

METRICS_LOGGER = "game_api.metrics"
"""Records of this logger are metric documents; their message is the line, and nothing else."""

MAX_RECORDS = 10_000
"""Records that may wait to be written."""
WRITE_SECONDS = 0.05
CLOSE_SECONDS = 3

MAX_TEXT = 30_000
"""Characters of a message or traceback: a line stays far below CloudWatch's 1 MiB."""

SECRETS = re.compile(
    r"(?P<uri>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"']+@"
    r"|(?P<name>\b(?:authorization|password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)"
    r"\w*[\"']?\s*[=:]\s*(?:[\"']\s*)?(?:bearer\s+|basic\s+)?)[^\s\"',&;}]+"
    r"|\bbearer\s+[^\s\"',]+"
    r"|\beyJ[\w-]{5,}(?:\.[\w-]*)*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    re.IGNORECASE,
)
"""Credentials in connection strings, `password=...` and the like, bearer tokens, JWTs, AWS keys."""

PASSWORD = re.compile(r"://[^/@:]*:([^/@]{4,})@")

LEVEL_COLORS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
STATUS_COLORS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}


class Redactor:
    """Takes secrets out of a text: those in the settings, those it is told, what looks like one."""

    def __init__(self, settings: Settings) -> None:
        self._secrets: tuple[str, ...] = ()
        values = [getattr(settings, name) for name in type(settings).model_fields]
        secrets = [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
        for secret in secrets:
            self.hide(secret)
        for secret in secrets:
            if found := PASSWORD.search(secret):  # a connection string's own, written or meant
                self.hide(found[1])
                self.hide(unquote(found[1]))

    def hide(self, secret: str) -> None:
        """Take this out as well, from now on."""
        # A new tuple: another thread may be at work on the one there is.
        if secret not in self._secrets:
            self._secrets = (*self._secrets, secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return SECRETS.sub(
            lambda found: f"{found['uri'] or found['name'] or ''}***{'@' if found['uri'] else ''}",
            text,
        )


class LineFormatter(logging.Formatter):
    """A record as one JSON line, made once for all handlers."""

    def __init__(self, redact: Callable[[str], str], pod: str) -> None:
        super().__init__()
        self.redact = redact
        self.pod = pod

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
        if of := record.__dict__.get("request_id"):
            entry["request_id"] = self.redact(of)
        entry |= self.access(record)
        entry |= {"pod": self.pod, "version": __version__}
        if record.exc_info:
            entry["exception"] = self.text(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)

    def text(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            text = f"{text[: MAX_TEXT // 2]} ... {text[-MAX_TEXT // 2 :]}"
        # Lone surrogates, which UTF-8 has no bytes for, are shown as escapes.
        return self.redact(text).encode("utf-8", "backslashreplace").decode()

    def access(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of a served request, if that is what the record is about."""
        access: dict[str, Any] = record.__dict__.get("access", {})
        return {
            key: self.text(value) if isinstance(value, str) else value
            for key, value in access.items()
        }


class ConsoleFormatter(LineFormatter):
    """A record as a person at a terminal likes to read it."""

    def __init__(self, redact: Callable[[str], str], pod: str, color: bool) -> None:
        super().__init__(redact, pod)
        self.color = color

    def format(self, record: logging.LogRecord) -> str:
        if record.name == METRICS_LOGGER:
            return record.getMessage()
        access = record.__dict__.get("access")
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        if access:
            status = self.painted(str(access["status"]), STATUS_COLORS.get(access["status"] // 100))
            text = f"{self.text(record.getMessage())} {status} {access['duration_ms']:.1f} ms"
            if access["status"] >= 400:
                text += f"  {self.redact(record.__dict__.get('request_id', ''))}"
        else:
            text = f"{record.name}: {self.text(record.getMessage())}"
        if record.exc_info:
            text += "\n" + self.text(self.formatException(record.exc_info))
        level = self.painted(f"{record.levelname:<7}", LEVEL_COLORS.get(record.levelname))
        return f"{time} {level} {text}"

    def painted(self, text: str, color: str | None) -> str:
        return f"{color}{text}\x1b[0m" if self.color and color else text


class Relay(logging.Handler):
    """Takes records in the request's path, and has them written in a thread of its own.

    Formatting a line and writing it would cost a request more than all the rest of logging, and a
    reader of standard output who stalls would stall the service.
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
        # The bare descriptor: a thread that is stuck in a buffered file would hang the exit.
        self._output = sys.stdout.fileno()
        self._records: deque[logging.LogRecord] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._records) >= MAX_RECORDS:
            self.dropped += 1
            self._metrics.count(LOG_RECORDS_DROPPED)
            return
        record.msg, record.args = record.getMessage(), None  # as it is now, not when it is written
        self._records.append(record)
        if record.levelno >= logging.WARNING:
            self._wake.set()

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(WRITE_SECONDS)
            self._wake.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        """Write what has come, in one go; deliver it to CloudWatch as well."""
        lines = []
        while self._records:
            record = self._records.popleft()
            try:
                if self._cloudwatch is not None:
                    self._cloudwatch.handle(record)
                if self.with_metrics or record.name != METRICS_LOGGER:
                    lines.append(self.format(record) + "\n")
            except Exception:
                self.handleError(record)
        rest = "".join(lines).encode()
        try:
            while rest:
                rest = rest[os.write(self._output, rest) :]
        except OSError:  # nobody reads any more
            self.dropped += len(lines)

    def close(self) -> None:
        """Write what is left."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        super().close()


class Logs:
    """Where records go. Made by `configure`; closed when everything else is done."""

    def __init__(
        self,
        relay: Relay | None = None,
        cloudwatch: "CloudWatchHandler | None" = None,
        readable: bool = False,
        redact: Redactor | None = None,
    ) -> None:
        self.relay = relay
        self.cloudwatch = cloudwatch
        self.readable = readable
        self._redact = redact

    def hide(self, secret: str) -> None:
        """Keep a secret out of every line from now on."""
        if self._redact is not None:
            self._redact.hide(secret)

    def close(self) -> None:
        """Write and deliver what is queued, within a bounded time."""
        if self.relay is not None:
            self.relay.close()
        if self.cloudwatch is not None:
            self.cloudwatch.close()


def stamped(*arguments: Any, **keywords: Any) -> logging.LogRecord:
    """A record that knows which request it belongs to, wherever it is formatted."""
    record = logging.LogRecord(*arguments, **keywords)
    if (of := request_id.get()) is not None:
        record.request_id = of
    return record


def configure(settings: Settings, metrics: Metrics) -> Logs:
    """Send every logger's records where the settings say. Raises SettingsError."""
    redact = Redactor(settings)
    pod = settings.pod_name or socket.gethostname()
    lines = LineFormatter(redact, pod)
    terminal = sys.stdout.isatty()
    console = settings.log_format == "console" or (settings.log_format is None and terminal)
    cloudwatch = None
    if settings.cloudwatch_log_group is not None:
        # The AWS SDK costs a third of a second and 30 MB: only those who use it pay for it.
        from botocore.exceptions import BotoCoreError

        from game_api.cloudwatch import CloudWatchHandler

        try:
            cloudwatch = CloudWatchHandler(
                settings.cloudwatch_log_group, settings.cloudwatch_log_stream, metrics
            )
        except BotoCoreError as error:
            raise SettingsError([f"GAME_API_CLOUDWATCH_LOG_GROUP: {error}"]) from None
        cloudwatch.setFormatter(lines)
    shown = ConsoleFormatter(redact, pod, color=terminal) if console else lines
    relay = Relay(shown, cloudwatch, metrics, with_metrics=settings.metrics == "stdout")
    logging.setLogRecordFactory(stamped)
    # What no line shows need not be looked up for each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    if sys.version_info >= (3, 12):
        logging.logAsyncioTasks = False
    logging.basicConfig(level=settings.log_level.upper(), handlers=[relay], force=True)
    logging.getLogger(METRICS_LOGGER).setLevel(logging.INFO)
    for chatty in ("botocore", "boto3", "urllib3", "pymongo"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return Logs(relay, cloudwatch, readable=console, redact=redact)
