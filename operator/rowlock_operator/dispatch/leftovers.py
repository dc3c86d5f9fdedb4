"""Serves what is left of sources that nobody feeds any more: their RowSource is gone or wrong, or was made
anew for another table.

Runs that are in the ledger go on, so their outcomes are written, from the plan that the last registration
stored; and a row that was deleted meanwhile is not run. A source with nothing left is known to nobody here
and costs nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.api import reasons
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.rows.ledger import Ledger, LeftOver
from rowlock_operator.rows.pool import Patience, patient
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import Inspection, SourcePlan
from rowlock_operator.rows.stored_plan import restored

DUTY = "leftovers"


@dataclass(frozen=True)
class LeftoversSettings:
    every_seconds: float = 0.5
    busy_seconds: float = 0.05  # after a pass that wrote something
    share: float = 0.02  # of the time that looking for them may take
    refused_seconds: float = 5.0  # until what a table refused is written again; doubled each time
    longest_refused_seconds: float = 300.0
    vanished_seconds: float = 5.0
    batch: int = 1000
    patience: Patience = Patience(lock_ms=500, statement_ms=5_000)


class Leftovers:
    def __init__(
        self, state: SharedState, ledger: Ledger, settings: LeftoversSettings, ours: Callable[[str], bool]
    ) -> None:
        self._state, self._ledger, self._settings, self._ours = state, ledger, settings, ours
        # id -> (when to try again, after how long a pause)
        self._refused: dict[int, tuple[float, float]] = {}
        self._retired: set[int] = set()  # ids of those whose RowSource is gone
        self._told: dict[int, str] | None = None  # what the ledger was told; None = nothing yet
        self._looked: dict[int, float] = {}  # id -> when its rows were last looked for
        self._looked_after: dict[int, str | None] = {}  # id -> the key to go on from

    def run_once(self) -> float:
        """One pass; returns the seconds until the next."""
        settings, began = self._settings, time.monotonic()
        served = [entry.source.source_id for entry in self._state.source_entries()]
        found = {each.source_id: each for each in self._ledger.left_over(served) if self._ours(each.name)}
        took = time.monotonic() - began
        self._keep(found)
        self._retired = {id_ for id_, each in found.items() if each.retired}
        left = self._state.leftover_entries()
        written = sum(self._serve(entry) for entry in left)
        self._tell_held(left)
        self._tell()
        if written:
            return settings.busy_seconds
        return max(settings.every_seconds, took / settings.share)

    def _keep(self, found: dict[int, LeftOver]) -> None:
        """One entry for each; those with nothing left, or fed again, are dropped."""
        with self._state.lock:
            fed = {entry.source.source_id for entry in self._state.sources.values()}
            before = self._state.leftovers
            self._state.leftovers = {
                id_: (
                    known
                    if (known := before.get(id_)) and known.source.queue_id == each.queue_id
                    else self._entry(each)
                )
                for id_, each in found.items()
                if id_ not in fed
            }
        self._refused = {id_: when for id_, when in self._refused.items() if id_ in found}
        self._looked = {id_: when for id_, when in self._looked.items() if id_ in found}
        self._looked_after = {id_: key for id_, key in self._looked_after.items() if id_ in found}

    def _tell_held(self, entries: list[SourceEntry]) -> None:
        """Outcomes that a table refuses hold up no others; so nothing failed, and yet they must be
        spoken of.
        """
        outbox = self._ledger.outbox_sources() if entries else {}
        for entry in entries:
            held = outbox.get(entry.source.source_id)
            if held is not None and held.why and DUTY not in entry.troubles:
                plan = entry.source.plan
                entry.met(
                    DUTY,
                    reasons.OUTCOMES_NOT_WRITTEN.error(
                        source=plan.name, table=plan.table, why=f"{held.why}."
                    ),
                )

    def _tell(self) -> None:
        """Troubles also go into the ledger, for `rowlock health`; nothing is written where nothing
        changed.
        """
        troubles = {
            entry.source.source_id: entry.error for entry in self._state.leftover_entries() if entry.error
        }
        if troubles == self._told:
            return
        for id_, why in troubles.items():
            self._ledger.source_trouble(id_, why)
        self._ledger.settled(list(troubles))
        self._told = troubles

    def _entry(self, left: LeftOver) -> SourceEntry:
        kept = restored(left.spec)
        if kept is None:
            # Registered by an operator that stored no plan: who makes its RowSource again has its outcomes
            # written.
            nothing = SourcePlan(left.name, "", str(left.spec.get("table", "")), "", "false", (), (), "")
            entry = SourceEntry(
                self._source(left, nothing, Inspection("text", None, "table", 0.0, False, None)),
                suspended=True,
            )
            entry.met(DUTY, reasons.PLAN_NOT_STORED.error(source=left.name))
            return entry
        return SourceEntry(self._source(left, *kept), suspended=True)

    def _source(self, left: LeftOver, plan: SourcePlan, inspection: Inspection) -> Source:
        return Source(self._ledger.pool, plan, inspection, source_id=left.source_id, queue_id=left.queue_id)

    def _serve(self, entry: SourceEntry) -> int:
        """Writes what there is, and cancels what has lost its row; what a table refuses waits, and no other
        source waits for it.

        Raises RetryLater; the next pass begins with the others.
        """
        id_, now, settings = entry.source.source_id, time.monotonic(), self._settings
        when, pause = self._refused.get(id_, (0.0, settings.refused_seconds))
        if now < when or not entry.source.plan.key:
            return 0
        try:
            with patient(settings.patience):
                if now - self._looked.get(id_, -1e9) > settings.vanished_seconds:
                    self._looked[id_] = now
                    gone, self._looked_after[id_] = entry.source.vanished(
                        settings.batch, self._looked_after.get(id_)
                    )
                    self._ledger.cancel(gone, "SourceRowDeleted")
                written = entry.source.write_back()
                if n := entry.source.take_left_alone():
                    self._state.left_alone.append((entry.source.queue_id, n))
        except GiveUp as error:
            if error.reason == reasons.TABLE_MISSING.name and id_ in self._retired:
                self._ledger.abandon(id_, settings.batch)  # whoever removed both misses nothing
                entry.worked(DUTY)
                return 0
            entry.met(
                DUTY,
                reasons.OUTCOMES_NOT_WRITTEN.error(
                    source=entry.source.plan.name, table=entry.source.plan.table, why=error
                ),
            )
            self._refused[id_] = (now + pause, min(settings.longest_refused_seconds, pause * 2))
            return 0
        except RetryLater as error:
            entry.met(DUTY, error)
            self._refused[id_] = (now + settings.refused_seconds, pause)
            raise
        entry.worked(DUTY)
        self._refused.pop(id_, None)
        return written
