"""One look at one RowSource: check the spec, look at the table, register it with its database's dispatcher,
report.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.sources import CheckedSource, check_source
from rowlock_operator.dispatch.database import DatabaseDispatcher, LimitRule
from rowlock_operator.dispatch.state import SourceEntry
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.observed.queues import SourceObservation, Trouble, trouble
from rowlock_operator.reconcile.controller import Controller, Shared
from rowlock_operator.reconcile.objects import manifest_of
from rowlock_operator.reconcile.startup_grace import GRACE_SECONDS, StartupGrace
from rowlock_operator.rows.source_table import LARGEST_VALUE_BYTES, Inspection, SourcePlan, long_columns
from rowlock_operator.status.row_sources import fold_row_source_status

BUSY_SECONDS, IDLE_SECONDS, TROUBLE_SECONDS = 2.0, 60.0, 5.0
# A table may change under us. What stops its source is seen at once by the duties; an index that was asked
# for, within a minute.
INSPECT_SECONDS, ADVISED_SECONDS = 300.0, 60.0
PENDING_CAP = 1000


class QueueNotOpen(RetryLater):
    """The WorkQueue has not reached its database (yet)."""


@dataclass(frozen=True, slots=True)
class _Registered:
    """A source as its dispatcher has it."""

    dispatcher: DatabaseDispatcher
    wanted: object
    """What was asked for: compared only."""
    inspected_at: float
    """By the monotonic clock, in seconds."""
    inspection: Inspection

    def asks(self, dispatcher: DatabaseDispatcher, wanted: object) -> bool:
        """Whether this was asked for, of this database."""
        return (self.dispatcher, self.wanted) == (dispatcher, wanted)


class RowSourceController(Controller):
    """Level-based, as all reconcilers."""

    def __init__(self, shared: Shared, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._objects, self._databases = shared.objects, shared.databases
        self._reporter, self._served = shared.reporter, shared.served
        self._default_secret = shared.settings.stores.database_secret
        self._now = now
        self._registered: dict[ObjectKey, _Registered] = {}
        self._queue_grace, self._stats_grace = StartupGrace(), StartupGrace()

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Returns when to look again, in seconds."""
        primary = self._objects.get(key)
        if primary is None or primary.deletion_timestamp:
            await self._retire(key)
            return None
        source = RowSource.parse(manifest_of(ROW_SOURCES, key, primary))
        troubles: list[Trouble] = []
        advice = self._served.advice(key.namespace)
        queue: WorkQueue | None = None
        try:
            queue = self._queue(source)
            checked = check_source(source, queue, default_database_secret=self._default_secret)
            inspection = await self._register(key, source, checked)
            self._queue_grace.end(key)
            if inspection.advice:
                advice.append(
                    trouble(
                        reasons.INDEX_MISSING, rows=inspection.estimated_rows, statement=inspection.advice
                    )
                )
        except GiveUp as error:
            self._forget(key)  # what is registered is not what the user asks for
            troubles.append(Trouble(reason=error.reason, message=str(error)))
        except QueueNotOpen as error:
            # At the start of a term its WorkQueue is looked at in the same moment, and then it is our turn
            # again: no trouble unless it lasts.
            if left := self._queue_grace.left(key):
                return left
            troubles.append(trouble(reasons.DATABASE_UNREACHABLE, why=error))
        except RetryLater as error:
            troubles.append(trouble(reasons.DATABASE_UNREACHABLE, why=error))
        entry = self._entry(key)
        if entry is not None:
            # What holds up everybody first: the source's own may only follow from it.
            stopping, others = self._registered[key].dispatcher.state.troubles_of_source(entry)
            troubles += [*stopping, *([entry.trouble] if entry.trouble is not None else [])]
            advice += others
        if entry is not None and (why := why_left_out(entry)):
            advice.insert(0, trouble(reasons.ROWS_LEFT_OUT, why=why))
        if entry is not None and entry.marks.count:
            advice.insert(0, entry.marks.trouble(entry.source.plan))
        if entry is not None and not troubles and not entry.counted and (left := self._until_counted(key)):
            return left
        if entry is not None and entry.counted:
            self._stats_grace.end(key)
        observation = self._observe(entry, queue, troubles, advice)
        await self._reporter.report(ROW_SOURCES, key, primary, fold_row_source_status(source, observation))
        if troubles or (entry is not None and entry.refused):
            return TROUBLE_SECONDS
        return (
            BUSY_SECONDS if entry is not None and (entry.pending or entry.waiting_in_ledger) else IDLE_SECONDS
        )

    def _until_counted(self, key: ObjectKey) -> float:
        """How long to wait for the first figures: while its database is being counted the turn of each source
        comes, among thousands later.
        """
        age = self._registered[key].dispatcher.state.depth_age_seconds()
        return GRACE_SECONDS if age is not None and age < GRACE_SECONDS else self._stats_grace.left(key)

    def _queue(self, source: RowSource) -> WorkQueue | None:
        """The WorkQueue it names, None where there is none; raises GiveUp where its spec cannot be read."""
        key = ObjectKey(WORK_QUEUES.plural, source.metadata.namespace, source.spec.work_queue_ref.name)
        primary = self._objects.get(key)
        if primary is None or primary.deletion_timestamp:
            return None
        return WorkQueue.parse(manifest_of(WORK_QUEUES, key, primary))

    async def _register(self, key: ObjectKey, source: RowSource, checked: CheckedSource) -> Inspection:
        plan, rules = plan_of(source, checked)
        name = source.spec.work_queue_ref.name
        dispatcher = self._databases.of(ObjectKey(WORK_QUEUES.plural, key.namespace, name))
        entry = dispatcher.queue_named(f"{key.namespace}/{name}") if dispatcher else None
        if dispatcher is None or entry is None:
            raise QueueNotOpen(f"WorkQueue {name} has not reached its database yet: see its condition Ready")
        wanted = (plan, tuple(rules), entry.queue_id, source.spec.suspend)
        known = self._registered.get(key)
        seen = self._entry(key)
        # nothing else was asked for
        before = known.inspection if known is not None and known.asks(dispatcher, wanted) else None
        if known is None or seen is None:
            before = None
        elif (
            before is not None
            and time.monotonic() - known.inspected_at < _good_for(seen, before)
            and seen.error is None
        ):
            return before
        try:
            inspection = await dispatcher.threads.ask(
                dispatcher.register_source,
                plan,
                rules,
                queue_id=entry.queue_id,
                suspended=source.spec.suspend,
            )
        except GiveUp as error:
            if before is None or error.reason not in (reasons.TABLE_LOCKED.name, reasons.TABLE_SLOW.name):
                raise
            return before  # as it was seen last; its duties tell what they meet
        self._registered[key] = _Registered(dispatcher, wanted, time.monotonic(), inspection)
        return inspection

    def _entry(self, key: ObjectKey) -> SourceEntry | None:
        known = self._registered.get(key)
        return known.dispatcher.state.sources.get(f"{key.namespace}/{key.name}") if known else None

    def _observe(
        self,
        entry: SourceEntry | None,
        queue: WorkQueue | None,
        troubles: list[Trouble],
        advice: list[Trouble],
    ) -> SourceObservation:
        suspended = queue is not None and queue.spec.suspend
        if entry is None or entry.pending is None:
            return SourceObservation(
                now=self._now(), queue_suspended=suspended, troubles=tuple(troubles), advice=tuple(advice)
            )
        return SourceObservation(
            now=self._now(),
            pending=entry.pending + entry.waiting_in_ledger,
            pending_cap=PENDING_CAP,
            running=entry.running,
            done=entry.done,
            failed=entry.failed,
            throttled=entry.throttled,
            left_alone=entry.left_alone,
            queue_suspended=suspended,
            troubles=tuple(troubles),
            advice=tuple(advice),
        )

    async def _retire(self, key: ObjectKey) -> None:
        """It is gone: what the ledger holds of it goes on without it."""
        known = self._registered.get(key)
        self._forget(key)
        if known is not None:
            with contextlib.suppress(RetryLater):  # whoever looks for what is gone repeats it
                await known.dispatcher.threads.ask(
                    known.dispatcher.retire_source, f"{key.namespace}/{key.name}"
                )

    async def let_go(self, key: ObjectKey) -> None:
        """Another release serves it: nothing is taken from it here any more."""
        self._forget(key)

    def _forget(self, key: ObjectKey) -> None:
        self._queue_grace.end(key)
        self._stats_grace.end(key)
        known = self._registered.pop(key, None)
        if known is not None:
            known.dispatcher.unregister_source(f"{key.namespace}/{key.name}")


def _good_for(entry: SourceEntry, inspection: Inspection) -> float:
    """How many seconds what was seen of a table is good for."""
    return ADVISED_SECONDS if inspection.advice else INSPECT_SECONDS


def why_left_out(entry: SourceEntry) -> str:
    """Why some pending rows never become runs as they are; empty where none is left out."""
    keyless, large, long = entry.left_out
    plan, refused = entry.source.plan, entry.refused
    said = []
    if keyless:
        said.append(f"{keyless} without a value in {plan.key} (give them one)")
    if large:
        columns = ", ".join(entry.source.inspection.large_columns)
        said.append(
            f"{large} with more than {LARGEST_VALUE_BYTES // 1024} KiB in one of {columns} (leave it out of"
            " spec.columns and let the task read it)"
        )
    if long:
        bounds = ", ".join(
            f"{name} ({most:,})" for name, most in long_columns(plan, entry.source.inspection).items()
        )
        said.append(
            f"{long} with more bytes than a run may have in {bounds} (name a shorter column, or a digest:"
            " md5(...) as a generated column)"
        )
    if refused:
        key, why = next(iter(refused.items()))
        said.append(f"{len(refused)} refused by the database, such as {plan.key} {key}: {why}")
    return "; ".join(said)


def plan_of(source: RowSource, checked: CheckedSource) -> tuple[SourcePlan, list[LimitRule]]:
    """The checked spec as the rows room takes it."""
    spec, status = source.spec, source.spec.status_column
    rules = [
        LimitRule(
            name=limit.name,
            column=limit.key,
            concurrency=limit.concurrency,
            rate_per_second=limit.rate.count / limit.rate.per_seconds if limit.rate else None,
            burst=float(limit.rate.burst or limit.rate.count) if limit.rate else None,
        )
        for limit in spec.limits
    ]
    plan = SourcePlan(
        name=source.metadata.key,
        schema=checked.schema,
        table=checked.table,
        key=spec.key,
        pending=spec.pending,
        order_by=checked.order_by,
        arguments=tuple(spec.argument_columns.items()),
        task=spec.task,
        priority=spec.priority,
        fairness_key=spec.fairness_key,
        version_column=spec.again.version_column if spec.again else None,
        again_seconds=spec.again.every_seconds if spec.again else None,
    )
    if status is not None:
        plan = replace(
            plan,
            status_column=status.name,
            claimed=status.claimed,
            succeeded=status.succeeded,
            failed=status.failed,
            canceled=status.canceled or "",
            unknown=status.unknown or "",
            error_column=status.error_column,
        )
    return _sharing(plan), rules


def _sharing(plan: SourcePlan) -> SourcePlan:
    """The same plan with one copy of every word for all sources: thousands of them say the same column names
    and values.
    """
    words: dict[str, Any] = {
        each.name: sys.intern(text)
        for each in fields(plan)
        if isinstance(text := getattr(plan, each.name), str)
    }
    arguments = tuple((sys.intern(name), sys.intern(column)) for name, column in plan.arguments)
    return replace(plan, arguments=arguments, **words)
