"""The dispatcher of one database: its pool, its registrations, its duties."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from rowlock_operator.dispatch.auditor import Auditor, AuditorSettings
from rowlock_operator.dispatch.claimer import Claimer, ClaimerSettings
from rowlock_operator.dispatch.depths import DepthsReader, DepthsSettings
from rowlock_operator.dispatch.duty import Duty
from rowlock_operator.dispatch.failing import WAITING_ROOM, Failing
from rowlock_operator.dispatch.feeder import Feeder, FeederSettings
from rowlock_operator.dispatch.figures import FiguresReader, FiguresSettings
from rowlock_operator.dispatch.housekeeper import Housekeeper, HousekeeperSettings
from rowlock_operator.dispatch.leftovers import Leftovers, LeftoversSettings
from rowlock_operator.dispatch.scribe import Scribe, ScribeSettings
from rowlock_operator.dispatch.state import QueueEntry, SharedState, SourceEntry
from rowlock_operator.dispatch.sweeper import Sweeper, SweeperSettings
from rowlock_operator.dispatch.tables import TablesSettings, WaitingRoom
from rowlock_operator.dispatch.threads import DatabaseThreads
from rowlock_operator.dispatch.watch import WATCH, Watch, WatchSettings
from rowlock_operator.rows.hint import HintListener
from rowlock_operator.rows.inspection import inspect, quoted
from rowlock_operator.rows.ledger import Claimed, Ledger
from rowlock_operator.rows.migrations import migrate
from rowlock_operator.rows.pool import Patience, Pool, patient
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import Inspection, LeftOut, SourceLimitKey, SourcePlan, read_row
from rowlock_operator.rows.stored_plan import stored
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.dispatch")
STOP_SECONDS = 10.0  # for all duties together; one that hangs with its database is left behind
# reconcilers wait in line behind a table that is looked at
REGISTERING = Patience(lock_ms=200, statement_ms=5_000)


@dataclass(frozen=True)
class DispatchSettings:
    """Each duty's own settings; the two pools bound the connections to one database, whatever the number of
    its sources.
    """

    # one for each duty and for the launcher, so that none waits for another's; the hint has one beside it
    pool_size: int = 13
    reconciler_pool_size: int = 2  # of twenty reconcilers, who look at tables that may be locked
    claimer: ClaimerSettings = field(default_factory=ClaimerSettings)
    feeder: FeederSettings = field(default_factory=FeederSettings)
    sweeper: SweeperSettings = field(default_factory=SweeperSettings)
    scribe: ScribeSettings = field(default_factory=ScribeSettings)
    depths: DepthsSettings = field(default_factory=DepthsSettings)
    figures: FiguresSettings = field(default_factory=FiguresSettings)
    leftovers: LeftoversSettings = field(default_factory=LeftoversSettings)
    tables: TablesSettings = field(default_factory=TablesSettings)
    auditor: AuditorSettings = field(default_factory=AuditorSettings)
    housekeeper: HousekeeperSettings = field(default_factory=HousekeeperSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)


@dataclass(frozen=True)
class LimitRule:
    """What one limit of a source allows."""

    name: str
    column: str | None
    concurrency: int | None
    rate_per_second: float | None
    burst: float | None


class DatabaseDispatcher:
    """Registrations may come from any thread; duties run in threads of their own between start() and
    stop().
    """

    def __init__(
        self,
        url: str,
        redis: Callable[[], RedisQueues],
        settings: DispatchSettings,
        *,
        launch: Callable[["DatabaseDispatcher", QueueEntry, list[Claimed]], None],
        on_error: Callable[[str], None] = lambda duty: None,
        on_duplicate: Callable[[str, int], None] = lambda queue, n: None,
        ours: Callable[[str], bool] = lambda name: True,
        kube_jobs: bool = False,
    ) -> None:
        """`ours(name)`: whether a source of that name (namespace/name) is this operator's; another one may
        share the database. `kube_jobs`: whether a launcher follows the kube jobs of this database.
        """
        self.url = url
        self.pool, self.reconciler_pool = (
            Pool(url, settings.pool_size),
            Pool(url, settings.reconciler_pool_size),
        )
        self.threads = DatabaseThreads(self.pool.name)
        self.ledger, self._registry = Ledger(self.pool), Ledger(self.reconciler_pool)
        self.state = SharedState(
            failing=Failing(settings.watch.lasting_seconds, settings.watch.quiet_seconds)
        )
        idle_seconds = settings.claimer.idle_seconds
        room = WaitingRoom(self.state, settings.tables)
        feeder = Feeder(self.state, settings.feeder, room, idle_seconds=idle_seconds)
        stop = threading.Event()
        self._hints = HintListener(self.pool, stop)
        self.claimer = Claimer(
            self.state,
            self.ledger,
            redis,
            feeder,
            settings.claimer,
            lambda queue, claims: launch(self, queue, claims),
            self._hints,
            on_duplicate,
        )
        leftovers = Leftovers(self.state, self.ledger, settings.leftovers, ours)
        self.sweeper = Sweeper(self.state, self.ledger, redis, settings.sweeper, room, kube_jobs=kube_jobs)
        scribe = Scribe(self.state, self.ledger, settings.scribe, room)
        housekeeper = Housekeeper(self.ledger, settings.housekeeper)
        self._watch = Watch(
            self.state, self.ledger, settings.watch, operator=f"{socket.gethostname()}-{os.getpid()}"
        )
        duties: dict[str, Callable[[], float]] = {
            "sweeper": self.sweeper.run_once,
            "scribe": scribe.run_once,
            "depths": DepthsReader(self.state, self.ledger, settings.depths).run_once,
            "leftovers": leftovers.run_once,
            "figures": FiguresReader(self.state, self.ledger, settings.figures, room).run_once,
            "auditor": Auditor(self.state, self.ledger, settings.auditor).run_once,
            "housekeeper": housekeeper.run_once,
            WATCH: self._watch.run_once,
        }
        for tier, name in enumerate(WAITING_ROOM[: len(settings.tables.tiers) - 1], start=1):
            duties[name] = partial(room.work, tier)
        self._duties = [
            Duty(name, self.state, run_once, on_error=on_error) for name, run_once in duties.items()
        ]
        self._duties += [
            Duty(
                "claimer",
                self.state,
                self.claimer.run_once,
                on_error=on_error,
                stop=stop,
                pause=self.claimer.pause,
            )
        ]

    def migrate(self) -> list[str]:
        """Brings the ledger to this version; raises RetryLater or GiveUp."""
        return migrate(self.reconciler_pool)

    def start(self) -> None:
        for duty in self._duties:
            duty.start()

    def stop(self) -> None:
        """Ends the duties after the call each is in, then the connections."""
        self.threads.close()
        for duty in self._duties:
            duty.stop()
        until = time.monotonic() + STOP_SECONDS
        for duty in self._duties:
            duty.join(max(0.0, until - time.monotonic()))
        self._watch.close()
        self._hints.close()
        self.pool.close()
        self.reconciler_pool.close()

    def register_queue(
        self,
        entry: QueueEntry,
        *,
        retry: dict[str, Any],
        succeeded_seconds: int,
        dead_seconds: int,
        tasks: Sequence[str] = (),
    ) -> QueueEntry:
        """Makes the queue known to the ledger and the duties; returns the entry with its id."""
        queue_id = self._registry.upsert_queue(
            name=entry.name,
            mode="Jobs" if entry.jobs_mode else "Workers",
            retry=retry,
            suspended=entry.suspended,
            succeeded_seconds=succeeded_seconds,
            dead_seconds=dead_seconds,
            tasks=tasks,
        )
        entry = replace(entry, queue_id=queue_id)
        self.state.put_queue(entry)
        return entry

    def unregister_queue(self, name: str) -> None:
        """The WorkQueue is gone: nothing of it is claimed any more; its runs stay in the ledger."""
        self.state.drop_queue(name)
        self._registry.delete_queue(name)

    def queue_named(self, name: str) -> QueueEntry | None:
        return self.state.queue_named(name)

    def register_source(
        self, plan: SourcePlan, rules: list[LimitRule], *, queue_id: int, suspended: bool
    ) -> Inspection:
        """Looks at the table and registers the source; raises GiveUp where the table cannot serve. Figures
        survive a re-registration.
        """
        with patient(REGISTERING):
            found = inspect(self.reconciler_pool, plan)
        spec = {
            "table": f"{plan.schema}.{plan.table}",
            "task": plan.task,
            "read_row": read_row(plan, found),
            **stored(plan, found),
        }
        relation = f"{quoted(plan.schema)}.{quoted(plan.table)}"
        source_id = self._registry.register_source(
            name=plan.name, queue_id=queue_id, relation=relation, key=plan.key, spec=spec
        )
        keys = []
        for rule in rules:
            ledger_name = f"{source_id}.{rule.name}"
            self._registry.set_limit(
                name=ledger_name, max_running=rule.concurrency, rate=rule.rate_per_second, burst=rule.burst
            )
            keys.append(SourceLimitKey(ledger_name, rule.column))
        self._registry.drop_limits(f"{source_id}.", keep=[key.rule for key in keys])
        source = Source(
            self.pool,
            replace(plan, limits=tuple(keys)) if keys else plan,
            found,
            source_id=source_id,
            queue_id=queue_id,
        )
        with self.state.lock:
            old = self.state.sources.get(plan.name)
            entry = SourceEntry(source, suspended)
            if old is not None and old.source.source_id == source_id:
                if old.source.plan == source.plan:
                    source.refused = old.source.refused
                entry.done, entry.failed, entry.pending = old.done, old.failed, old.pending
                entry.left_out, entry.refused = (
                    old.left_out if source.may_leave_out else LeftOut(),
                    old.refused,
                )
                entry.turns, entry.marks = old.turns, old.marks
                # a look at the table mends nothing: each duty takes back its own
                entry.troubles = dict(old.troubles)
            self.state.sources[plan.name] = entry
            self.state.leftovers.pop(source_id, None)
            self.state.version += 1
        return found

    def unregister_source(self, name: str) -> None:
        """Nothing is taken from it any more; what the ledger holds of it goes on, and its outcomes are
        written.
        """
        with self.state.lock:
            self.state.sources.pop(name, None)
            self.state.version += 1

    def retire_source(self, name: str) -> None:
        """The RowSource is gone; raises RetryLater where the database is away (the next look at what is gone
        repeats it).
        """
        self.unregister_source(name)
        self._registry.retire_source(name)
