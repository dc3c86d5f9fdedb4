"""Keeps the ledger small: partitions ahead, retention behind, vacuum by dead rows instead of by the clock."""

import logging
from dataclasses import dataclass

from rowlock_operator.dispatch.intervals import Intervals
from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.ledger import Ledger

log = logging.getLogger("rowlock.dispatch")


@dataclass(frozen=True)
class HousekeeperSettings:
    every_seconds: float = 5.0
    days_ahead: int = 8  # partitions of the history; what is missing is tried again at each pass
    fewest_days_ahead: int = 3  # below this somebody should know
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
        """One pass; returns the seconds until the next. Raises at its end what somebody should know."""
        settings, steps = self._settings, self._intervals
        steps.attempt("partitions", 0, self._partitions)
        steps.attempt("retain", settings.retain_seconds, self._retain)
        steps.attempt("forget", settings.forget_seconds, self._ledger.forget)
        steps.attempt("vacuum", 0, self._vacuum)
        steps.attempt("aside", 0, self._tell_of_what_stands_aside)
        steps.raise_failed()
        return settings.every_seconds

    def _partitions(self) -> None:
        """Looked at in each pass: a clock that jumped needs them now, and what a lock forbade may be possible
        by now.
        """
        days_ahead = self._ledger.days_ahead()
        if days_ahead < self._settings.days_ahead:
            self._ledger.partitions()
            days_ahead = self._ledger.days_ahead()
        if days_ahead < self._settings.fewest_days_ahead:
            holder = next(
                (h.described for h in self._ledger.table_holders()), "nobody that this login may see"
            )
            places = (
                "no place for today" if days_ahead < 0 else f"places for only {days_ahead} days after today"
            )
            raise RetryLater(
                f"the history (rowlock.done) has {places}, and more cannot be made because of a lock. It is"
                f" held by {holder}: wait for it, or end that session. Runs end all the same"
            )

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

    def _tell_of_what_stands_aside(self) -> None:
        if aside := self._ledger.aside():
            raise RetryLater(
                f"{aside} runs could not even be ended and stand in rowlock.aside: its columns message and"
                " why say what is wrong; enqueue anew what is still wanted, and delete the rows there"
            )
