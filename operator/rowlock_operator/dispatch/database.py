"""The dispatcher of one database: its pool, its registrations, its duties."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rowlock_operator.dispatch.claimer import Claimer, ClaimerSettings
from rowlock_operator.dispatch.duty import Duty
from rowlock_operator.dispatch.feeder import Feeder, FeederSettings
from rowlock_operator.dispatch.housekeeper import Housekeeper, HousekeeperSettings
from rowlock_operator.dispatch.scribe import Scribe, ScribeSettings
from rowlock_operator.dispatch.state import QueueEntry, SharedState, SourceEntry
from rowlock_operator.dispatch.sweeper import Sweeper, SweeperSettings
from rowlock_operator.rows.ledger import Claimed, Ledger
from rowlock_operator.rows.migrations import migrate
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import Inspection, SourceLimitKey, SourcePlan, inspect
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.dispatch")


@dataclass(frozen=True)
class DispatchSettings:
    """Each duty's own settings; `pool_size` bounds the connections to one database, whatever the number of its sources."""

    pool_size: int = 6  # four duties, the launcher, a reconciler
    claimer: ClaimerSettings = field(default_factory=ClaimerSettings)
    feeder: FeederSettings = field(default_factory=FeederSettings)
    sweeper: SweeperSettings = field(default_factory=SweeperSettings)
    scribe: ScribeSettings = field(default_factory=ScribeSettings)
    housekeeper: HousekeeperSettings = field(default_factory=HousekeeperSettings)


@dataclass(frozen=True)
class LimitRule:
    """What one limit of a source allows."""

    name: str
    column: str | None
    concurrency: int | None
    rate_per_second: float | None
    burst: float | None


class DatabaseDispatcher:
    """Registrations may come from any thread; duties run in threads of their own between start() and stop()."""

    def __init__(
        self,
        url: str,
        redis: Callable[[], RedisQueues],
        settings: DispatchSettings,
        *,
        launch: Callable[["DatabaseDispatcher", QueueEntry, list[Claimed]], None],
        on_error: Callable[[str], None] = lambda duty: None,
        on_duplicate: Callable[[str, int], None] = lambda queue, n: None,
    ) -> None:
        self.url = url
        self.pool = Pool(url, settings.pool_size)
        self.ledger = Ledger(self.pool)
        self.state = SharedState()
        feeder = Feeder(self.state, settings.feeder, idle_seconds=settings.claimer.idle_seconds)
        self.claimer = Claimer(
            self.state, self.ledger, redis, feeder, settings.claimer, lambda queue, claims: launch(self, queue, claims), on_duplicate
        )
        self.sweeper = Sweeper(self.state, self.ledger, redis, settings.sweeper)
        scribe = Scribe(self.state, self.ledger, settings.scribe)
        housekeeper = Housekeeper(self.ledger, settings.housekeeper)
        duties: dict[str, Callable[[], float]] = {
            "claimer": self.claimer.run_once,
            "sweeper": self.sweeper.run_once,
            "scribe": scribe.run_once,
            "housekeeper": housekeeper.run_once,
        }
        self._duties = [Duty(name, self.state, run_once, on_error=on_error) for name, run_once in duties.items()]

    def migrate(self) -> list[str]:
        """Brings the ledger to this version; raises RetryLater or GiveUp."""
        return migrate(self.pool)

    def start(self) -> None:
        for duty in self._duties:
            duty.start()

    def stop(self) -> None:
        """Ends the duties after the call each is in, then the connections."""
        for duty in self._duties:
            duty.stop()
        for duty in self._duties:
            duty.join()
        self.pool.close()

    def register_queue(self, entry: QueueEntry, *, retry: dict[str, Any], succeeded_seconds: int, dead_seconds: int) -> QueueEntry:
        """Makes the queue known to the ledger and the duties; returns the entry with its id."""
        queue_id = self.ledger.upsert_queue(
            name=entry.name,
            mode="Jobs" if entry.jobs_mode else "Workers",
            retry=retry,
            suspended=entry.suspended,
            succeeded_seconds=succeeded_seconds,
            dead_seconds=dead_seconds,
        )
        entry = QueueEntry(**{**vars(entry), "queue_id": queue_id})
        with self.state.lock:
            self.state.queues[queue_id] = entry
        return entry

    def unregister_queue(self, name: str) -> None:
        """The WorkQueue is gone: nothing of it is claimed any more; its runs stay in the ledger."""
        with self.state.lock:
            self.state.queues = {i: q for i, q in self.state.queues.items() if q.name != name}
        self.ledger.delete_queue(name)

    def queue_named(self, name: str) -> QueueEntry | None:
        return next((q for q in self.state.queue_entries() if q.name == name), None)

    def register_source(self, plan: SourcePlan, rules: list[LimitRule], *, queue_id: int, suspended: bool) -> Inspection:
        """Looks at the table and registers the source; raises GiveUp where the table cannot serve. Figures survive a re-registration."""
        found = inspect(self.pool, plan)
        source_id = self.ledger.upsert_source(
            name=plan.name, queue_id=queue_id, spec={"table": f"{plan.schema}.{plan.table}", "task": plan.task}
        )
        keys = []
        for rule in rules:
            ledger_name = f"{source_id}.{rule.name}"
            self.ledger.set_limit(name=ledger_name, max_running=rule.concurrency, rate=rule.rate_per_second, burst=rule.burst)
            keys.append(SourceLimitKey(ledger_name, rule.column))
        source = Source(self.pool, SourcePlan(**{**vars(plan), "limits": tuple(keys)}), found, source_id=source_id, queue_id=queue_id)
        with self.state.lock:
            old = self.state.sources.get(plan.name)
            entry = SourceEntry(source, suspended)
            if old is not None:
                entry.done, entry.failed, entry.pending = old.done, old.failed, old.pending
            self.state.sources[plan.name] = entry
        return found

    def unregister_source(self, name: str) -> None:
        with self.state.lock:
            self.state.sources.pop(name, None)
