"""Log lines: an event name and key-values, JSON in a pod, one readable line on a terminal. Never arguments,
results or URLs.

Our own events do not go through the logging module once they are configured: whatever a task's code
configures there (dictConfig disables every logger it does not name), a worker says what it does. It is also a
tenth of a fast worker's time.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TextIO

TASKS_IMPORTING = "tasks_importing"
WORKER_STARTED = "worker_started"
WORKER_STOPPED = "worker_stopped"
WORKER_STOPPING = "worker_stopping"
WORKER_DIED = "worker_died"
RUN_STARTED = "run_started"
RUN_FINISHED = "run_finished"
RUN_REFUSED = "run_refused"
RUN_STALE = "run_stale"
RUN_ABANDONED = "run_abandoned"
RUN_HANDED_BACK = "run_handed_back"
RUN_CANCEL_REQUESTED = "run_cancel_requested"
CHILD_STARTED = "child_started"
CHILD_ENDED = "child_ended"
CHILD_CHANGED = "child_changed"
CHILD_IMPORT_FAILED = "child_import_failed"
SOFT_LIMIT_LOST = "soft_limit_lost"
IMPORT_OPENED = "import_opened"
HOOK_FAILED = "hook_failed"
LEASE_TAKEN = "lease_taken"
LEASE_LOST = "lease_lost"
DATABASE_AWAY = "database_away"
DATABASE_BACK = "database_back"
REDIS_AWAY = "redis_away"
REDIS_BACK = "redis_back"
REDIS_FULL = "redis_full"
REDIS_ROOM = "redis_has_room"
RQ_COMMAND_REFUSED = "rq_command_refused"
RQ_RECORD_DAMAGED = "rq_record_damaged"
LOGIN_REFUSED = "login_refused"
SETTINGS_REFUSED = "settings_refused"
COMMAND_FAILED = "command_failed"

_LEVELS = {level: logging.getLevelName(level).lower() for level in (10, 20, 30, 40, 50)}
_encode = json.JSONEncoder(default=str).encode
_event_logger = logging.getLogger("rowlock.worker")
_out: TextIO | None = (
    None  # where events go; None: nobody configured us (a stock RQ worker), they are ordinary records
)
_json, _level = True, logging.INFO
_gathered: list[str] | None = None


def emit(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Writes one event. Fields are names, ids, counts and reasons: nothing a user put into a row."""
    if _out is None:
        _event_logger.log(level, event, extra={"rowlock": fields})
    elif level >= _level:
        line = (_json_event if _json else _text_event)(event, level, fields) + "\n"
        if _gathered is None:
            _write(line)
        else:
            _gathered.append(line)


@contextmanager
def together() -> Iterator[None]:
    """Events of this block are written at its end, at once: a handful of runs costs one write."""
    global _gathered
    _gathered = []
    try:
        yield
    finally:
        lines, _gathered = _gathered, None
        if lines:
            _write("".join(lines))


def _json_event(event: str, level: int, fields: dict[str, Any]) -> str:
    head = {
        "time": _utc(time.time()),
        "level": _LEVELS[level],
        "logger": _event_logger.name,
        "event": event,
        "pid": os.getpid(),
    }
    return _encode({**head, **fields})


def _text_event(event: str, level: int, fields: dict[str, Any]) -> str:
    return _readable(time.time(), _LEVELS[level], event, fields)


def _write(text: str) -> None:
    assert _out is not None
    try:
        _out.write(text)
        _out.flush()
    except ValueError:  # somebody closed it
        with suppress(OSError):
            os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # a full or broken log must not stop the work


def run_logger(*, run: str, attempt: int, task: str, queue: str) -> "logging.LoggerAdapter[logging.Logger]":
    """The logger a task gets: every line carries the run it belongs to."""
    return _RunAdapter(
        logging.getLogger("rowlock.task"), {"run": run, "attempt": attempt, "task": task, "queue": queue}
    )


class _RunAdapter(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra = dict(kwargs.get("extra") or {})
        kwargs["extra"] = {"rowlock": {**(self.extra or {}), **extra}}
        return msg, kwargs

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """A dictConfig disables loggers that were there before it, which its author did not mean of
        this one.
        """
        self.logger.disabled = False
        return super().isEnabledFor(level)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event" if record.name == _event_logger.name else "message": record.getMessage(),
            "pid": record.process,
            **getattr(record, "rowlock", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def _utc(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds")


class TextFormatter(logging.Formatter):
    """For a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = _readable(
            record.created, record.levelname.lower(), record.getMessage(), getattr(record, "rowlock", {})
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _readable(unix_seconds: float, level: str, message: str, fields: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(unix_seconds, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"{at} {level:7} {message} {' '.join(f'{key}={value}' for key, value in fields.items())}".rstrip()


def configure_logging(log_format: str, level: int = logging.INFO) -> None:
    """Sends every logger of this process to its standard error in the given format (`json` or `text`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    global _out, _json, _level
    _out, _json, _level = sys.stderr, log_format == "json", level
    # RQ logs an id per line at INFO; its news is our own events.
    for name in ("rq", "rq.worker", "rq.job"):
        logging.getLogger(name).setLevel(logging.WARNING)
