"""How runs look on a terminal and as JSON. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from rowlock_cli.runs import RunRow
from rowlock_cli.values import printable

_MESSAGE_CHARACTERS, _CELL_CHARACTERS, _SENTENCE_CHARACTERS = 70, 120, 2_000
_YEAR_SECONDS = 31_556_952


def age(seconds: float) -> str:
    """A duration in at most two units, as kubectl shows it: 8s, 3m12s, 5h, 12d; from ten years on 18030y;
    infinity as such.
    """
    if seconds == math.inf:
        return "infinity"
    whole = max(0, int(max(0.0, seconds)))
    if whole < 120:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s" if whole < 600 else f"{whole // 60}m"
    if whole < 48 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600}h{minutes}m" if minutes and whole < 10 * 3600 else f"{whole // 3600}h"
    return f"{whole // 86400}d" if whole < 10 * _YEAR_SECONDS else f"{whole // _YEAR_SECONDS}y"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, three blanks apart. A cell never breaks the line, and ends after
    120 characters.
    """
    clean = [[_shortened(cell, _CELL_CHARACTERS) for cell in line] for line in [header, *lines]]
    widths = [max(len(line[i]) for line in clean) for i in range(len(header))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in clean
    )


def runs_table(runs: Sequence[RunRow], now: datetime, gone: Mapping[str, bool] | None = None) -> str:
    """What runs, newest first. `gone`: queues without a WorkQueue -> whether they never had one."""
    lines = [
        [
            run.short_id,
            run.queue,
            run.task,
            run.state,
            str(run.attempt),
            age((now - run.created_at).total_seconds()),
            _origin(run),
            _without_queue(run, gone or {}) or remark(run, now),
        ]
        for run in runs
    ]
    return table(["RUN", "QUEUE", "TASK", "STATE", "ATTEMPT", "AGE", "SOURCE", "REMARK"], lines)


def _without_queue(run: RunRow, gone: Mapping[str, bool]) -> str:
    if run.state != "pending" or run.queue not in gone:
        return ""
    return (
        "waits for a WorkQueue that does not exist" if gone[run.queue] else "waits: its WorkQueue is deleted"
    )


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
            run.failed_with("reason"),
            _cut(run.failed_with("message")),
        ]
        for run in runs
    ]
    return table(["RUN", "QUEUE", "TASK", "STATE", "FAILURES", "ENDED", "REASON", "MESSAGE"], lines)


def remark(run: RunRow, now: datetime) -> str:
    """The one thing worth knowing about a run in a list."""
    if run.state == "pending" and run.due and run.due > now:
        return f"{'retry' if run.failure else 'due'} in {age((run.due - now).total_seconds())}" + (
            f" after {run.failed_with('reason')}" if run.failure else ""
        )
    if run.cancel_requested:
        return "cancel requested"
    if run.state == "running" and run.progress:
        return progress_text(run.progress)
    if run.state in ("dead", "unknown", "canceled"):
        return _cut(
            ": ".join(part for part in (run.failed_with("reason"), run.failed_with("message")) if part)
        )
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
    return json.dumps(printable(value), indent=2, default=_json_value)


def to_line(value: object) -> str:
    """The same as one line."""
    return json.dumps(printable(value), default=_json_value)


def sentences(lines: Sequence[str]) -> str:
    """Sentences, one a line: what a task or a row brought into them steers no terminal and does not
    fill it.
    """
    return "\n".join(sentence(line) for line in lines)


def sentence(text: str) -> str:
    """One line of at most 2,000 characters; -o json shows what is longer."""
    return _shortened(text, _SENTENCE_CHARACTERS)


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _origin(run: RunRow) -> str:
    return " ".join(part for part in (run.source, run.source_key) if part)


def _tries(run: RunRow) -> str:
    counts = (("app", run.app_tries), ("site", run.site_tries), ("infra", run.infra_tries))
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "-"


def _cut(text: str) -> str:
    return _shortened(text, _MESSAGE_CHARACTERS)


def _shortened(text: str, most: int) -> str:
    """One line of at most so many characters; before that a text of megabytes is not looked at."""
    line = one_line(text[: most + 1])
    return line if len(text) <= most else line[: most - 3] + "..."


def one_line(text: str) -> str:
    """The text without anything that breaks a line or steers a terminal."""
    # Also keeps a task's own escape sequences off the user's terminal.
    return "".join(character if character.isprintable() else " " for character in text)
