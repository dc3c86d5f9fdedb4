"""From the dispatchers' figures to keys and metrics: whose figures moved is looked at, what ended is
counted.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.state import SourceEntry
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.key_router import KeyRouter
from rowlock_operator.reconcile.objects import key_of
from rowlock_operator.rows.ledger import Depth, Ended
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.telemetry.queue_gauges import AT_REST, QueueFigures

DATABASE_SILENT_SECONDS = 15.0
STATS_SECONDS, STATS_SHARE = 0.5, 0.05  # how often, and of the time that reading them may take


class StatsReader:
    """The router is told of every key whose figures differ from those of the last reading; `waiting()` is the
    number of keys that wait for a look. Used by the leader only; for one event loop.
    """

    def __init__(
        self, databases: Databases, metrics: Metrics, router: KeyRouter, waiting: Callable[[], int]
    ) -> None:
        self._databases, self._metrics, self._router = databases, metrics, router
        self._waiting = waiting
        self._queues: dict[str, tuple[Any, ...]] = {}
        self._sources: dict[str, tuple[Any, ...]] = {}
        self._blocked: dict[str, int] = {}
        self._health: dict[int, tuple[Any, ...]] = {}
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Reads again and again, until cancelled."""
        while True:
            began = time.monotonic()
            self.read()
            self._metrics.keys_waiting.set(self._waiting())
            await asyncio.sleep(max(STATS_SECONDS, (time.monotonic() - began) / STATS_SHARE))

    def read(self) -> None:
        """One reading of all dispatchers."""
        in_use, reachable = 0, True
        queues: dict[str, tuple[Any, ...]] = {}
        sources: dict[str, tuple[Any, ...]] = {}
        health: dict[int, tuple[Any, ...]] = {}
        failing: set[str] = set()
        for dispatcher in self._databases:
            in_use += dispatcher.pool.in_use + dispatcher.reconciler_pool.in_use
            age = dispatcher.state.depth_age_seconds()
            silent = age is not None and age >= DATABASE_SILENT_SECONDS
            reachable = reachable and not silent
            lasting = dispatcher.state.lasting()
            failing |= lasting.keys()
            told = tuple(each.trouble for each in lasting.values())
            health[id(dispatcher)] = (
                dispatcher.state.failures is not None,
                silent,
                dispatcher.state.redis is not None,
                told,
            )
            self._read(dispatcher, queues, sources)
            if health[id(dispatcher)] != self._health.get(id(dispatcher), (False, False, False, ())):
                self._look_at_users(dispatcher, sources=told != self._health.get(id(dispatcher), ((),))[-1])
        self._tell(WORK_QUEUES.plural, self._queues, queues)
        self._tell(ROW_SOURCES.plural, self._sources, sources)
        self._queues, self._sources, self._health = queues, sources, health
        self._blocked = {name: n for name, n in self._blocked.items() if name in queues}
        self._metrics.db_pool_in_use.set(in_use)
        self._metrics.marks_without_run.set(
            sum(entry.marks.count for each in self._databases for entry in each.state.source_entries())
        )
        self._metrics.database_up.set(int(reachable))
        for duty in failing | self._failing:
            self._metrics.duty_failing.labels(duty).set(int(duty in failing))
        self._failing = failing

    def queues(self) -> Iterator[QueueFigures]:
        """Every queue that is served, for a scrape."""
        for dispatcher in self._databases:
            depths, unknown = dispatcher.state.depths, dispatcher.state.depths_unknown
            for entry in dispatcher.state.queue_entries():
                depth = depths.get(entry.queue_id)
                if entry.queue_id in unknown:
                    continue  # what is not known is not zero
                if depth is None:
                    yield QueueFigures(entry.name, AT_REST)
                else:
                    yield QueueFigures(entry.name, _runs(depth), depth.oldest_seconds or 0.0)

    def _read(
        self,
        dispatcher: DatabaseDispatcher,
        queues: dict[str, tuple[Any, ...]],
        sources: dict[str, tuple[Any, ...]],
    ) -> None:
        state = dispatcher.state
        while state.ended:
            self._count_ended(state.ended.popleft())
        while state.left_alone:
            queue_id, rows = state.left_alone.popleft()
            if queue_id in state.queues:
                self._metrics.left_alone.labels(state.queues[queue_id].name).inc(rows)
        for depth in state.depths.values():
            if depth.queue_id not in state.queues:
                continue  # another operator's, or its WorkQueue is gone
            queues[depth.queue] = (
                depth.waiting,
                depth.ready,
                depth.blocked,
                depth.queued,
                depth.launching,
                depth.running,
            )
            self._metrics.throttled.labels(depth.queue).inc(
                max(0, depth.blocked - self._blocked.get(depth.queue, 0))
            )
            self._blocked[depth.queue] = depth.blocked
        for queue_id, why in state.depths_unknown.items():
            if queue_id in state.queues:
                queues[state.queues[queue_id].name] = (why,)
        for queue_id, failed in (state.failures or {}).items():
            entry = state.queues.get(queue_id)
            if entry is not None:
                queues[entry.name] = (*queues.get(entry.name, ()), failed)
        for left in state.leftover_entries():
            queue = state.queues.get(left.source.queue_id)
            if queue is not None and left.error:
                queues[queue.name] = (*queues.get(queue.name, ()), left.error)
        for source in state.source_entries():
            if source.troubles or source.counted:
                sources[source.source.plan.name] = _seen(source)

    def _tell(
        self, plural: str, before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]]
    ) -> None:
        """Those that differ; also those that are no longer there: their figures are zero now."""
        moved = [name for name, figures in after.items() if before.get(name) != figures]
        for name in (*moved, *(before.keys() - after.keys())):
            self._router.concerned(key_of(plural, name))

    def _look_at_users(self, dispatcher: DatabaseDispatcher, *, sources: bool) -> None:
        """The database was counted for the first time, fell silent, came back, or Redis did, or a duty fails
        or recovered (that concerns sources, too): all its queues have something to say.
        """
        for source in dispatcher.state.source_entries() if sources else ():
            self._router.concerned(key_of(ROW_SOURCES.plural, source.source.plan.name))
        for entry in dispatcher.state.queue_entries():
            self._router.concerned(key_of(WORK_QUEUES.plural, entry.name))

    def _count_ended(self, ended: Ended) -> None:
        self._metrics.runs_finished.labels(ended.queue, ended.state).inc(ended.count)
        if ended.state in ("dead", "unknown"):
            self._metrics.dead_letter.labels(ended.queue).inc(ended.count)
        for seconds in ended.start_seconds:
            self._metrics.row_to_start_seconds.labels(ended.queue).observe(seconds)


def _runs(depth: Depth) -> dict[str, int]:
    return {name: getattr(depth, name) for name in ("waiting", "queued", "launching", "running", "blocked")}


def _seen(entry: SourceEntry) -> tuple[Any, ...]:
    left_out = (entry.left_out, len(entry.refused))
    return (
        entry.pending,
        entry.waiting_in_ledger,
        entry.running,
        entry.done,
        entry.failed,
        entry.throttled,
        entry.left_alone,
        entry.error if entry.troubles else None,
        left_out,
        entry.marks,
    )
