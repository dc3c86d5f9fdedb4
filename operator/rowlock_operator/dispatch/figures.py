"""Reads figures of sources and ended runs for statuses and metrics, and counts users' tables."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.dispatch.tables import TableDuty, WaitingRoom
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import EndedRuns, Ledger

DUTY = "figures"


@dataclass(frozen=True)
class FiguresSettings:
    every_seconds: float = 0.5
    counts_seconds: float = 5.0
    pending_cap: int = 1001  # displays say "1000+"
    left_out_seconds: float = 10.0  # how often one source is asked for rows that cannot be taken
    share: float = (
        0.1  # of the time that reading figures may take: with thousands of sources they are read less often,
    )
    longest_pause_seconds: float = (
        5.0  # but not so much less that they look like those of a database that went away
    )
    counting_seconds: float = 0.2  # for counting tables in one pass; the next one goes on where it ended


class FiguresReader:
    def __init__(
        self, state: SharedState, ledger: Ledger, settings: FiguresSettings, room: WaitingRoom
    ) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._tables = TableDuty(DUTY, self._count, room, share=settings.share)
        self._counts = -1e9
        self._ended: dict[int, EndedRuns] | None = None
        self._counted = 0  # where the last pass through the tables ended
        self._ended_until = datetime.now(UTC)

    def run_once(self) -> float:
        """One pass; returns the seconds until the next. What cannot be read keeps nothing else from being
        read; raises GiveUp with it at the end.
        """
        began, settings = time.monotonic(), self._settings
        readings: list[Callable[[], None]] = [self._read_sources, self._count_tables]
        if began - self._counts > settings.counts_seconds:
            self._counts = began
            readings = [
                self._read_ended,
                self._read_failures,
                self._read_interrupted,
                self._read_ended_since,
                *readings,
            ]
        failed: GiveUp | None = None
        for reading in readings:
            try:
                reading()
            except GiveUp as error:
                failed = error
        if failed is not None:
            raise failed
        pause = min(settings.longest_pause_seconds, (time.monotonic() - began) / settings.share)
        return max(settings.every_seconds, pause)

    def _read_ended(self) -> None:
        self._ended = self._ledger.ended_counts()

    def _read_ended_since(self) -> None:
        ended_runs, self._ended_until = self._ledger.ended_since(self._ended_until)
        self._state.ended.extend(ended_runs)

    def _read_failures(self) -> None:
        self._state.failures = self._ledger.queue_failures()

    def _read_interrupted(self) -> None:
        self._state.interrupted = self._ledger.interrupted()

    def _read_sources(self) -> None:
        figures = self._ledger.source_figures()
        for entry in self._state.source_entries():
            entry.waiting_in_ledger, entry.running, entry.throttled = figures.get(
                entry.source.source_id, (0, 0, 0)
            )
            if self._ended is not None:
                ended = self._ended.get(entry.source.source_id, EndedRuns())
                entry.done, entry.failed, entry.left_alone = ended.done, ended.failed, ended.left_alone

    def _count_tables(self) -> None:
        """As many as there is time for; those known to be at rest cost none."""
        entries, until = self._state.source_entries(), time.monotonic() + self._settings.counting_seconds
        for at in range(len(entries)):
            self._tables.visit(entries[(self._counted + at) % len(entries)])
            if time.monotonic() > until:
                self._counted = (self._counted + at + 1) % len(entries)
                break

    def _count(self, entry: SourceEntry) -> None:
        """How many rows wait in the user's table, and how many of them cannot be taken."""
        cap, source = self._settings.pending_cap, entry.source
        if source.may_leave_out and time.monotonic() - entry.left_out_at > self._settings.left_out_seconds:
            entry.left_out, entry.left_out_at = source.left_out(cap), time.monotonic()
        entry.pending = sum(entry.left_out) if entry.idle else source.count_pending(cap)
