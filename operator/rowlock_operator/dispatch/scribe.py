"""Writes outcomes into the users' status columns, and figures for statuses and metrics into the shared state."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Ledger


@dataclass(frozen=True)
class ScribeSettings:
    busy_seconds: float = 0.05
    idle_seconds: float = 0.2
    figures_seconds: float = 0.5
    counts_seconds: float = 5.0
    pending_cap: int = 1001  # displays say "1000+"
    refused_seconds: float = 5.0  # until outcomes that a table refused are written again
    left_out_seconds: float = 10.0  # how often one source is asked for rows that cannot be taken
    share: float = 0.1  # of the time that reading figures may take: with thousands of sources they are read less often,
    longest_pause_seconds: float = 5.0  # but not so much less that they look like those of a database that went away
    counting_seconds: float = 0.2  # for counting tables in one pass; the next one goes on where it ended


class Scribe:
    def __init__(self, state: SharedState, ledger: Ledger, settings: ScribeSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._figures_due = self._counts = -1e9
        self._refused_until: dict[int, float] = {}  # source -> when
        self._ended: dict[int, tuple[int, int]] | None = None
        self._counted = 0  # where the last pass through the tables ended
        self._ended_until = datetime.now(UTC)

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        written = 0
        waiting = self._ledger.outbox_sources()
        for entry in self._state.source_entries() if waiting or self._refused_until else ():
            written += self._write_back(entry, waiting)
        now = time.monotonic()
        if now > self._figures_due:
            self._read_figures(counts=now - self._counts > self._settings.counts_seconds)
            took = time.monotonic() - now
            pause = min(self._settings.longest_pause_seconds, took / self._settings.share)
            self._figures_due = now + max(self._settings.figures_seconds, pause)
        return self._settings.busy_seconds if written else self._settings.idle_seconds

    def _write_back(self, entry: SourceEntry, waiting: set[int]) -> int:
        """Outcomes of one source; what its table refuses is tried again after a pause, and others do not wait for it."""
        id_ = entry.source.source_id
        if id_ in waiting and time.monotonic() < self._refused_until.get(id_, 0.0):
            return 0
        written = 0
        try:
            if id_ in waiting:
                written = entry.source.write_back()
        except GiveUp as error:
            entry.met("scribe", error)
            self._refused_until[id_] = time.monotonic() + self._settings.refused_seconds
        else:
            entry.worked("scribe")
            self._refused_until.pop(id_, None)
        return written

    def _count(self, entry: SourceEntry) -> None:
        """How many rows wait in the user's table, and how many of them cannot be taken."""
        cap, source = self._settings.pending_cap, entry.source
        try:
            if source.may_leave_out and time.monotonic() - entry.left_out_at > self._settings.left_out_seconds:
                entry.left_out, entry.left_out_at = source.left_out(cap), time.monotonic()
            entry.pending = sum(entry.left_out) if entry.idle else source.count_pending(cap)
        except GiveUp as error:
            entry.pending = None
            entry.met("figures", error)
        else:
            entry.worked("figures")

    def _read_figures(self, *, counts: bool) -> None:
        depths = {d.queue_id: d for d in self._ledger.depths()}
        with self._state.lock:
            self._state.depths, self._state.depths_at = depths, time.monotonic()
        if counts:
            self._ended = self._ledger.ended_counts()
            ended_runs, self._ended_until = self._ledger.ended_since(self._ended_until)
            self._state.ended.extend(ended_runs)
            self._state.failures = self._ledger.queue_failures()
            self._counts = time.monotonic()
        figures = self._ledger.source_figures()
        for entry in self._state.source_entries():
            entry.waiting_in_ledger, entry.running, entry.throttled = figures.get(entry.source.source_id, (0, 0, 0))
            if self._ended is not None:
                entry.done, entry.failed = self._ended.get(entry.source.source_id, (0, 0))
        self._count_tables()

    def _count_tables(self) -> None:
        """As many as there is time for; those known to be at rest cost none."""
        entries, until = self._state.source_entries(), time.monotonic() + self._settings.counting_seconds
        for at in range(len(entries)):
            self._count(entries[(self._counted + at) % len(entries)])
            if time.monotonic() > until:
                self._counted = (self._counted + at + 1) % len(entries)
                break
