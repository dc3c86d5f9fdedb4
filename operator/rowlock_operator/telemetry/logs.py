"""Log lines: an event name and key-values, JSON in a cluster, readable on a terminal.

A call is `log.info("row_claimed", extra={"queue": ..., "runs": 3})`. Levels by reader: debug for us, info for
milestones, warning for the operator with the consequence, error with the remedy. Nothing per reconcile above
debug.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

# What logging itself puts on a record; everything else came in as a key-value.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

QUIET = {"kopf": logging.WARNING, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING}
"""Libraries that say a line for every event (kopf: several for every object)."""


class EventName:
    """Names of events that people search and alert for; the value is what stands in the log."""

    LEASE_ACQUIRED = "lease_acquired"
    LEASE_LOST = "lease_lost"
    LEASE_RELEASED = "lease_released"
    LEASE_RELEASE_FAILED = "lease_release_failed"
    LEASE_TRY_FAILED = "lease_try_failed"
    LEADER_STUCK = "leader_stuck"
    WATCH_BROKEN = "watch_broken"
    INTAKE_STARTED = "intake_started"
    INTAKE_BROKEN = "intake_broken"
    KINDS_NOT_SERVED = "kinds_not_served"
    RESYNC_REPAIRED = "resync_repaired"
    RESYNC_FAILED = "resync_failed"
    HISTORY_REPLACED = "history_replaced"
    CERTIFICATES_READ_AGAIN = "certificates_read_again"
    CERTIFICATES_UNREADABLE = "certificates_unreadable"
    NAMESPACE_SERVED_BY = "namespace_served_by"
    NAMESPACE_LEASE_FAILED = "namespace_lease_failed"
    CHILD_TAKEN_OVER = "child_taken_over"
    EVENT_DROPPED = "event_dropped"
    EVENTS_NOT_READ = "events_not_read"
    RECONCILE_FAILED = "reconcile_failed"
    PROBE_FAILED = "probe_failed"


def key_values(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave in `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the key-values; an exception as
    `exception`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update((key, value) for key, value in key_values(record).items() if key not in line)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:00:01.123 INFO  rowlock.lease lease_acquired identity=a`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(sep=" ", timespec="milliseconds")[
            11:23
        ]
        values = "".join(f" {key}={value}" for key, value in key_values(record).items())
        line = f"{moment} {record.levelname:7} {record.name} {record.getMessage()}{values}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(log_format: str, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends all log lines to `stream` (stderr by default) in `log_format` (`json` or `text`), and quietens
    chatty libraries.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
