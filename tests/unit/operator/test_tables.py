"""Who is quick is dealt with in passing; who is not waits where nobody else does."""

import time
from dataclasses import replace

import pytest

from rowlock_operator.api import reasons
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.dispatch.tables import TableDuty, TablesSettings, WaitingRoom
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.pool import Patience, Pool
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import Inspection
from tests.services.rows import order_plan

SETTINGS = TablesSettings(
    tiers=(Patience(1, 40), Patience(1, 4_000), Patience(1, 40_000)), locked_seconds=0.0, error_seconds=0.0
)
LOCKED, SLOW = reasons.TABLE_LOCKED.error(fact="it"), reasons.TABLE_SLOW.error(fact="it")
BROKEN = reasons.QUERY_REFUSED.error(fact="it")


class Work:
    """What one duty meets at a source, in this order; nothing bad after that."""

    def __init__(self, *errors: GiveUp | None, settings: TablesSettings = SETTINGS) -> None:
        self.errors, self.done = list(errors), 0
        self.state = SharedState()
        self.room = WaitingRoom(self.state, settings)
        self.duty = TableDuty("test", self._work, self.room)
        inspection = Inspection("bigint", "text", "table", 0.0, False, None)
        self.entry = SourceEntry(
            Source(Pool("postgresql://nobody"), order_plan(), inspection, source_id=1, queue_id=1),
            suspended=False,
        )
        self.state.sources[self.entry.source.plan.name] = self.entry

    def _work(self, _: SourceEntry) -> None:
        self.done += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    def waits(self, tier: int) -> bool:
        """One visit, and one turn of that tier's thread: whether it did something."""
        before = self.done
        self.duty.visit(self.entry)
        self.room.work(tier)
        return self.done > before


def test_a_quick_source_leaves_no_trace() -> None:
    work = Work()
    assert work.duty.visit(work.entry)
    assert work.done == 1
    assert not work.entry.turns


@pytest.mark.parametrize("error", [LOCKED, SLOW])
def test_who_uses_up_our_patience_is_dealt_with_by_the_next_thread_and_nothing_is_told_yet(
    error: GiveUp,
) -> None:
    work = Work(error)
    assert not work.duty.visit(work.entry)
    assert work.entry.tier("test") == 1
    assert work.entry.error is None
    assert work.duty.visit(work.entry)
    assert work.done == 1, "not in passing"
    work.room.work(1)
    assert work.done == 2


def test_a_slow_source_is_told_once_the_last_tier_has_no_patience_either() -> None:
    work = Work(SLOW, SLOW, SLOW)
    work.duty.visit(work.entry)
    assert work.waits(1)
    assert work.entry.tier("test") == 2
    assert work.entry.error is None
    assert work.waits(2)
    assert "TableSlow" in [trouble.reason for trouble in work.entry.troubles.values()]


def test_a_lock_that_lasts_is_told_and_waited_for_no_longer_each_time() -> None:
    work = Work(LOCKED, LOCKED, LOCKED)
    work.duty.visit(work.entry)
    assert work.waits(1)
    assert work.entry.error is None, "many a lock is gone in the blink of an eye"
    assert work.waits(1)
    assert work.entry.error
    assert work.entry.tier("test") == 1


def test_what_is_broken_is_told_at_once_and_stays_in_passing() -> None:
    work = Work(BROKEN)
    assert not work.duty.visit(work.entry)
    assert work.entry.error
    assert work.entry.tier("test") == 0
    assert work.duty.visit(work.entry)
    assert work.entry.error is None


def test_a_source_that_is_quick_again_comes_back_and_one_that_relapses_later() -> None:
    work = Work(SLOW)
    turns = []
    for _ in range(3):
        work.errors = [SLOW]
        work.duty.visit(work.entry)
        turns.append(0)
        while work.entry.tier("test"):
            turns[-1] += work.waits(1)
    assert turns == [2, 3, 5]


def test_work_of_a_registration_that_was_replaced_is_dropped() -> None:
    work = Work(SLOW)
    work.duty.visit(work.entry)
    work.duty.visit(work.entry)
    work.state.sources.clear()
    work.room.work(1)
    assert work.done == 1


def test_after_an_error_it_is_left_alone_for_a_while() -> None:
    work = Work(BROKEN, settings=replace(SETTINGS, error_seconds=60.0))
    work.duty.visit(work.entry)
    assert not work.duty.due(work.entry)
    assert work.entry.turns["test"].due > time.monotonic() + 30
