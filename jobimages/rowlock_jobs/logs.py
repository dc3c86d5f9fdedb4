"""The events of a worker, and where log lines go, in the form of rowlock_logs. Never arguments, results or
URLs. docs/logs.md lists the events: people search and alert for them.

Our own events do not go through the logging module once they are configured: whatever a task's code
configures there (dictConfig disables every logger it does not name), a worker says what it does. It is also a
tenth of a fast worker's time.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from rowlock_logs.lines import extra_of_ours, formatter, json_line, text_line

TASKS_IMPORTING = "tasks_importing"
TASKS_IMPORTED = "tasks_imported"
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
RQ_RECORDS_NOT_WRITTEN = "rq_records_not_written"
RQ_RECORD_DAMAGED = "rq_record_damaged"
LOGIN_REFUSED = "login_refused"
SETTINGS_REFUSED = "settings_refused"
COMMAND_FAILED = "command_failed"

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
        line = (
            json_line(time.time(), level, _event_logger.name, event, os.getpid(), fields)
            if _json
            else text_line(time.time(), level, _event_logger.name, event, fields)
        ) + "\n"
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


def configure_logging(log_format: str, level: int = logging.INFO) -> None:
    """Sends every logger of this process to its standard error in the given format (`json` or `text`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format, extra_of_ours))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    global _out, _json, _level
    _out, _json, _level = sys.stderr, log_format == "json", level
    # RQ logs an id per line at INFO; its news is our own events.
    for name in ("rq", "rq.worker", "rq.job"):
        logging.getLogger(name).setLevel(logging.WARNING)
