"""Runs as tables. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rowlock_client.runs import RunRow
from rowlock_client.text import age, progress_text, shortened

_CELL_CHARACTERS = 120


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, three blanks apart. A cell never breaks the line, and ends after
    120 characters.
    """
    clean = [[shortened(cell, _CELL_CHARACTERS) for cell in line] for line in [header, *lines]]
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
            shortened(run.failed_with("message")),
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
        return shortened(
            ": ".join(part for part in (run.failed_with("reason"), run.failed_with("message")) if part)
        )
    return ""


def _origin(run: RunRow) -> str:
    return " ".join(part for part in (run.source, run.source_key) if part)


def _tries(run: RunRow) -> str:
    counts = (("app", run.app_tries), ("site", run.site_tries), ("infra", run.infra_tries))
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "-"
