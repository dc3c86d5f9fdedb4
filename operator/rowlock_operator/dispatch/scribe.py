"""Writes outcomes into the users' status columns, and figures for statuses and metrics into the shared state."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rowlock_operator.dispatch.state import SharedState
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Ledger


@dataclass(frozen=True)
class ScribeSettings:
    busy_seconds: float = 0.05
    idle_seconds: float = 0.2
    figures_seconds: float = 0.5
    counts_seconds: float = 5.0
    pending_cap: int = 1001  # displays say "1000+"


class Scribe:
    def __init__(self, state: SharedState, ledger: Ledger, settings: ScribeSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._figures = self._counts = -1e9
        self._ended_until = datetime.now(UTC)

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        written = 0
        waiting = self._ledger.outbox_sources()
        for entry in self._state.source_entries():
            if entry.source.source_id not in waiting:
                continue
            try:
                written += entry.source.write_back()
            except GiveUp as error:
                entry.error, entry.error_reason = str(error), error.reason
        now = time.monotonic()
        if now - self._figures > self._settings.figures_seconds:
            self._read_figures(counts=now - self._counts > self._settings.counts_seconds)
            self._figures = now
        return self._settings.busy_seconds if written else self._settings.idle_seconds

    def _read_figures(self, *, counts: bool) -> None:
        depths = {d.queue_id: d for d in self._ledger.depths()}
        with self._state.lock:
            self._state.depths, self._state.depths_at = depths, time.monotonic()
        ended = self._ledger.ended_counts() if counts else None
        if counts:
            ended_runs, self._ended_until = self._ledger.ended_since(self._ended_until)
            self._state.ended.extend(ended_runs)
            self._state.failures = self._ledger.queue_failures()
            self._counts = time.monotonic()
        figures = self._ledger.source_figures()
        for entry in self._state.source_entries():
            entry.waiting_in_ledger, entry.running, entry.throttled = figures.get(entry.source.source_id, (0, 0, 0))
            if ended is not None:
                entry.done, entry.failed = ended.get(entry.source.source_id, (0, 0))
            try:
                entry.pending = entry.source.count_pending(self._settings.pending_cap)
            except GiveUp as error:
                entry.pending, entry.error, entry.error_reason = None, str(error), error.reason
