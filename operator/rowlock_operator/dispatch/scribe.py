"""Writes outcomes into the users' status columns."""

import time
from dataclasses import dataclass

from rowlock_operator.api.reasons import ROW_REFUSED
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Ledger, Unwritten

_NOTHING = Unwritten(due=False, held=0, why=None)
_HELD = "held outcomes"  # key of the source's troubles


@dataclass(frozen=True)
class ScribeSettings:
    busy_seconds: float = 0.05
    idle_seconds: float = 0.2
    refused_seconds: float = 5.0  # until a table that could not be written at all is tried again


class Scribe:
    def __init__(self, state: SharedState, ledger: Ledger, settings: ScribeSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._refused_until: dict[int, float] = {}  # source -> when
        self._told: set[int] = set()  # sources of which it was said that outcomes are held

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        written = 0
        waiting = self._ledger.outbox_sources()
        for entry in self._state.source_entries() if waiting or self._refused_until or self._told else ():
            outbox = waiting.get(entry.source.source_id, _NOTHING)
            self._tell(entry, outbox)
            written += self._write_back(entry, due=outbox.due)
        return self._settings.busy_seconds if written else self._settings.idle_seconds

    def _tell(self, entry: SourceEntry, outbox: Unwritten) -> None:
        """Says which outcomes a table refuses; each is tried again at its own time, and others pass it."""
        id_ = entry.source.source_id
        if outbox.held:
            fact = f"outcomes of {outbox.held} rows cannot be written back to source {entry.source.plan.name} now, such as {outbox.why}"
            entry.met(_HELD, ROW_REFUSED.error(fact=fact))
            self._told.add(id_)
        elif id_ in self._told:
            entry.worked(_HELD)
            self._told.discard(id_)

    def _write_back(self, entry: SourceEntry, *, due: bool) -> int:
        """Outcomes of one source; a table that cannot be written at all is tried again after a pause, and others do not wait for it."""
        id_ = entry.source.source_id
        if due and time.monotonic() < self._refused_until.get(id_, 0.0):
            return 0
        written = 0
        try:
            if due:
                written = entry.source.write_back()
                if n := entry.source.take_left_alone():
                    self._state.left_alone.append((entry.source.queue_id, n))
        except GiveUp as error:
            entry.met("scribe", error)
            self._refused_until[id_] = time.monotonic() + self._settings.refused_seconds
        else:
            entry.worked("scribe")
            self._refused_until.pop(id_, None)
        return written
