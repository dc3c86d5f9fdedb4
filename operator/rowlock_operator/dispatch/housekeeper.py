"""Keeps the ledger small: partitions ahead, retention behind, vacuum by dead rows instead of by the clock."""

import logging
from dataclasses import dataclass

from rowlock_operator.dispatch.intervals import Intervals
from rowlock_operator.rows.ledger import Ledger

log = logging.getLogger("rowlock.dispatch")


@dataclass(frozen=True)
class HousekeeperSettings:
    every_seconds: float = 5.0
    partitions_seconds: float = 3600.0
    retain_seconds: float = 60.0
    forget_seconds: float = 3600.0
    vacuum_seconds: float = 30.0
    large_table_dead_rows: int = 200_000  # active: vacuum takes seconds, so by a lot of dead rows
    small_table_dead_rows: int = 5_000  # inbox, lane, bucket...: milliseconds


class Housekeeper:
    def __init__(self, ledger: Ledger, settings: HousekeeperSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._intervals = Intervals()

    def run_once(self) -> float:
        settings, steps = self._settings, self._intervals
        steps.attempt("partitions", settings.partitions_seconds, self._ledger.partitions)
        steps.attempt("retain", settings.retain_seconds, self._retain)
        steps.attempt("forget", settings.forget_seconds, self._ledger.forget)
        steps.attempt("vacuum", 0, self._vacuum)
        steps.raise_failed()
        return settings.every_seconds

    def _retain(self) -> None:
        while self._ledger.retain() >= 5000:
            pass

    def _vacuum(self) -> None:
        settings = self._settings
        for table, dead in self._ledger.dead_rows().items():
            many = settings.large_table_dead_rows if table == "active" else settings.small_table_dead_rows
            # At most so often: while somebody holds an old snapshot, a vacuum takes nothing away.
            if dead > many and self._intervals.due(f"vacuum {table}", settings.vacuum_seconds):
                self._ledger.vacuum(table)
                log.debug("vacuumed", extra={"table": table, "dead_rows": dead})
