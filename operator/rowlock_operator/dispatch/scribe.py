"""Writes outcomes into the users' status columns."""

from dataclasses import dataclass

from rowlock_operator.api.reasons import ROW_REFUSED
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.dispatch.tables import TableDuty, WaitingRoom
from rowlock_operator.rows.ledger import Ledger, Unwritten

DUTY = "scribe"
_NOTHING = Unwritten(due=False, held=0, why=None)
_HELD = "held outcomes"  # key of the source's troubles


@dataclass(frozen=True)
class ScribeSettings:
    busy_seconds: float = 0.05
    idle_seconds: float = 0.1


class Scribe:
    def __init__(
        self, state: SharedState, ledger: Ledger, settings: ScribeSettings, room: WaitingRoom
    ) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._tables = TableDuty(DUTY, self._write_back, room)
        self._written = 0

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        self._written = 0
        waiting = self._ledger.outbox_sources()
        for entry in self._state.source_entries():
            outbox = waiting.get(entry.source.source_id, _NOTHING)
            if outbox.held or entry.troubles:
                self._tell(entry, outbox)
            if outbox.due and self._tables.due(entry) and not self._tables.visit(entry):
                # what took up our patience waits elsewhere by now; who comes after it is not to wait for a
                # second one
                return 0.0
        return self._settings.busy_seconds if self._written else self._settings.idle_seconds

    def _tell(self, entry: SourceEntry, outbox: Unwritten) -> None:
        """Says which outcomes a table refuses; each is tried again at its own time, and others pass it."""
        if outbox.held:
            held = "one outcome" if outbox.held == 1 else f"{outbox.held} outcomes"
            fact = (
                f"{held} cannot be written back to source {entry.source.plan.name} now, such as {outbox.why}"
            )
            entry.met(_HELD, ROW_REFUSED.error(fact=fact))
        else:
            entry.worked(_HELD)
        if not outbox.due:
            entry.worked(DUTY)  # nothing is left to be written

    def _write_back(self, entry: SourceEntry) -> None:
        """Outcomes of one source."""
        self._written += entry.source.write_back()
        if n := entry.source.take_left_alone():
            self._state.left_alone.append((entry.source.queue_id, n))
