"""Writes outcomes into the users' status columns."""

import time
from dataclasses import dataclass

from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Ledger


@dataclass(frozen=True)
class ScribeSettings:
    busy_seconds: float = 0.05
    idle_seconds: float = 0.2
    refused_seconds: float = 5.0  # until outcomes that a table refused are written again


class Scribe:
    def __init__(self, state: SharedState, ledger: Ledger, settings: ScribeSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._refused_until: dict[int, float] = {}  # source -> when

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        written = 0
        waiting = self._ledger.outbox_sources()
        for entry in self._state.source_entries() if waiting or self._refused_until else ():
            written += self._write_back(entry, waiting)
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
