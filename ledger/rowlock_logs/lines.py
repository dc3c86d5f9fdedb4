"""One line of the log: JSON in a cluster, readable on a terminal.

A line is `time`, `level`, `logger`, `event`, `pid`, then the values of that event, then `exception`
where there was one. docs/logs.md lists the events.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_HEAD = frozenset({"time", "level", "logger", "event", "pid", "exception"})
# What logging itself puts on a record; everything else came in by `extra`.
_OWN = _HEAD | frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = {level: logging.getLevelName(level).lower() for level in (10, 20, 30, 40, 50)}
_encode = json.JSONEncoder(default=str).encode


def json_line(
    unix_seconds: float, level: int, logger: str, event: str, pid: int | None, values: Mapping[str, Any]
) -> str:
    """One JSON object without a line's end. `values` holds none of the names of the line's head."""
    head = {
        "time": datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds"),
        "level": _level(level),
        "logger": logger,
        "event": event,
        "pid": pid,
    }
    return _encode({**head, **values})


def text_line(unix_seconds: float, level: int, logger: str, event: str, values: Mapping[str, Any]) -> str:
    """`12:00:01.123 warning rowlock.lease lease_lost identity=a`."""
    moment = datetime.fromtimestamp(unix_seconds, UTC).strftime("%H:%M:%S.%f")[:-3]
    told = "".join(f" {key}={value}" for key, value in values.items())
    return f"{moment} {_level(level):7} {logger} {event}{told}"


Values = Callable[[logging.LogRecord], dict[str, Any]]


def all_extra(record: logging.LogRecord) -> dict[str, Any]:
    """Whatever the caller gave in `extra`: for a program whose every caller is known."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def extra_of_ours(record: logging.LogRecord) -> dict[str, Any]:
    """What stands in `extra` under `rowlock`, where any name is free: for a program beside code of
    others, whose `extra` may hold what belongs in no log.
    """
    return {key: value for key, value in getattr(record, "rowlock", {}).items() if key not in _HEAD}


class JsonFormatter(logging.Formatter):
    """Records of the logging module as JSON lines."""

    def __init__(self, values: Values = all_extra) -> None:
        super().__init__()
        self._values = values

    def format(self, record: logging.LogRecord) -> str:
        values = self._values(record)
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json_line(
            record.created, record.levelno, record.name, record.getMessage(), record.process, values
        )


class TextFormatter(logging.Formatter):
    """Records of the logging module for a person at a terminal; a traceback follows its line."""

    def __init__(self, values: Values = all_extra) -> None:
        super().__init__()
        self._values = values

    def format(self, record: logging.LogRecord) -> str:
        line = text_line(
            record.created, record.levelno, record.name, record.getMessage(), self._values(record)
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def formatter(log_format: str, values: Values) -> logging.Formatter:
    """That of `json` or `text`."""
    return JsonFormatter(values) if log_format == "json" else TextFormatter(values)


def _level(level: int) -> str:
    return _LEVELS.get(level) or logging.getLevelName(level).lower()
