"""How runs look on a terminal and as JSON. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from rowlock_cli.runs import RunRow

_MESSAGE_CHARACTERS = 70


def age(seconds: float) -> str:
    """A duration in at most two units, as kubectl shows it: 8s, 3m12s, 5h, 12d."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s" if whole < 600 else f"{whole // 60}m"
    if whole < 48 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600}h{minutes}m" if minutes and whole < 10 * 3600 else f"{whole // 3600}h"
    return f"{whole // 86400}d"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, three blanks apart. A cell never breaks the line."""
    clean = [[one_line(cell) for cell in line] for line in [header, *lines]]
    widths = [max(len(line[i]) for line in clean) for i in range(len(header))]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in clean)


def runs_table(runs: Sequence[RunRow], now: datetime) -> str:
    """What runs, newest first."""
    lines = [
        [
            run.short_id,
            run.queue,
            run.task,
            run.state,
            str(run.attempt),
            age((now - run.created_at).total_seconds()),
            _origin(run),
            remark(run, now),
        ]
        for run in runs
    ]
    return table(["RUN", "QUEUE", "TASK", "STATE", "ATTEMPT", "AGE", "SOURCE", "REMARK"], lines)


def dead_letters_table(runs: Sequence[RunRow], now: datetime) -> str:
    """Runs that wait for a person."""
    lines = [
        [
            run.short_id,
            run.queue,
            run.task,
            run.state,
            _tries(run),
            age((now - (run.finished_at or now)).total_seconds()),
            _failure(run, "reason"),
            _cut(_failure(run, "message")),
        ]
        for run in runs
    ]
    return table(["RUN", "QUEUE", "TASK", "STATE", "FAILURES", "ENDED", "REASON", "MESSAGE"], lines)


def remark(run: RunRow, now: datetime) -> str:
    """The one thing worth knowing about a run in a list."""
    if run.state == "pending" and run.due and run.due > now:
        return f"{'retry' if run.failure else 'due'} in {age((run.due - now).total_seconds())}" + (
            f" after {_failure(run, 'reason')}" if run.failure else ""
        )
    if run.cancel_requested:
        return "cancel requested"
    if run.state == "running" and run.progress:
        return progress_text(run.progress)
    if run.state in ("dead", "unknown", "canceled"):
        return _cut(": ".join(part for part in (_failure(run, "reason"), _failure(run, "message")) if part))
    return ""


def progress_text(progress: object) -> str:
    """`3/10 page 3`, from what the task reported."""
    if not isinstance(progress, dict):
        return ""
    done, total, note = progress.get("done"), progress.get("total"), progress.get("note")
    figures = "" if done is None else f"{done}" if total is None else f"{done}/{total}"
    return _cut(" ".join(str(part) for part in (figures, note) if part))


def as_json(runs: Sequence[RunRow]) -> str:
    """The view's columns under their names; times in ISO 8601."""
    return to_json([asdict(run) for run in runs])


def to_json(value: object) -> str:
    return json.dumps(value, indent=2, default=_json_value)


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _origin(run: RunRow) -> str:
    return " ".join(part for part in (run.source, run.source_key) if part)


def _tries(run: RunRow) -> str:
    counts = (("app", run.app_tries), ("site", run.site_tries), ("infra", run.infra_tries))
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "-"


def _failure(run: RunRow, key: str) -> str:
    return str((run.failure or {}).get(key) or "")


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _MESSAGE_CHARACTERS else line[: _MESSAGE_CHARACTERS - 3] + "..."


def one_line(text: str) -> str:
    """The text without anything that breaks a line or steers a terminal."""
    # Also keeps a task's own escape sequences off the user's terminal.
    return "".join(character if character.isprintable() else " " for character in text)
