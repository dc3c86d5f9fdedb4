"""What pods say of their ends, told to the ledger, where runs of lost runners are, and kept for a while for
conditions.

Who is authoritative: the lease says that a runner is gone; the pod only says why. So an end may be told at
any time, late, twice, by two operators:
the ledger joins it to what was held there, before or after the sweep (functions/tell_end_v1.sql).
On each failure:
  the database is away     -> kept here and told once it answers
  crash before the telling -> the next leader finds the pod as it is, and tells it: lastState stays as long as
  its pod
  the pod is gone by then  -> the runs stay RunnerLost, and are tried again as such
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.decide.outcome import storable
from rowlock_operator.decide.pod_ends import ToldEnd, told_ends
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.waiting import set_within
from rowlock_operator.errors import RetryLater, RowlockError
from rowlock_operator.observed.pods import OwnedPod
from rowlock_operator.observed.queues import PodProblem

log = logging.getLogger("rowlock.dispatch")
RECENT_SECONDS = 600.0  # for so long a WorkQueue tells of an end
AGAIN_SECONDS = 2.0
# Reasons of which a WorkQueue tells, as kinds of pod problems (status/pod_problems.py).
KINDS = {"OutOfMemory": "OOMKilled", "Evicted": "Evicted", "Preempted": "Preempted", "NodeLost": "NodeLost"}


@dataclass(slots=True)
class _Known:
    queue: str  # namespace/name
    of: OwnedPod
    told: ToldEnd
    since: float
    waits: bool = True


class PodEnds:
    """Everything but the call of the ledger is done on the event loop."""

    def __init__(
        self,
        *,
        dispatcher: Callable[[str], DatabaseDispatcher | None],
        holds_leases: Callable[[str], bool],
        on_end: Callable[[str], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`dispatcher(queue)` serves it; `holds_leases(queue)`: its pods run our own runner, not contract
        Exit; `on_end(queue)`: look at it.
        """
        self._dispatcher, self._holds_leases, self._on_end, self._now, self._clock = (
            dispatcher,
            holds_leases,
            on_end,
            now,
            clock,
        )
        self._known: dict[ObjectKey, dict[tuple[str, str], _Known]] = {}
        self._gone: set[ObjectKey] = set()
        self._news = asyncio.Event()

    def note(self, key: ObjectKey, of: OwnedPod | None) -> None:
        """What a pod says now; None: it is gone, and what it said stays for a while."""
        if of is None:
            if key in self._known:
                self._gone.add(key)
            return
        queue = f"{key.namespace}/{of.work_queue}"
        said = {(one.container, one.end.reason): one for one in told_ends(of.pod, self._now())}
        known = self._known.get(key, {})
        for name in [
            name for name, one in known.items() if name not in said and not name[0] and not one.waits
        ]:
            del known[name]  # its node answers again
        for name, one in said.items():
            if name not in known:
                self._known.setdefault(key, known)[name] = _Known(queue, of, one, self._clock())
                log.info(
                    "pod_ended",
                    extra={
                        "queue": queue,
                        "pod": of.pod.name,
                        "reason": one.end.reason,
                        "why": one.end.message,
                    },
                )
                self._on_end(queue)
                self._news.set()

    def recent(self, queue: str) -> tuple[PodProblem, ...]:
        """What ended pods and containers of the last minutes, of whatever mode and contract, where somebody
        should hear of it.
        """
        since, found = self._clock() - RECENT_SECONDS, dict[str, list[str]]()
        for one in (one for known in self._known.values() for one in known.values()):
            kind = _kind(one)
            if kind is not None and one.queue == queue and one.since >= since:
                found.setdefault(kind, []).append(_words(one))
        ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(PodProblem(kind=kind, message=min(words), count=len(words)) for kind, words in ordered)

    async def run(self) -> None:
        """Tells the ledgers what they were not told yet, until cancelled. One that does not answer holds up
        no other.
        """
        telling: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                self._news.clear()
                for key, (dispatcher, ends) in self._untold().items():
                    if key not in telling or telling[key].done():
                        telling[key] = asyncio.create_task(self._tell(dispatcher, ends))
                telling = {key: task for key, task in telling.items() if not task.done()}
                self._forget()
                await set_within(self._news, AGAIN_SECONDS)
        finally:
            for task in telling.values():
                task.cancel()
            await asyncio.gather(*telling.values(), return_exceptions=True)

    def _untold(self) -> dict[int, tuple[DatabaseDispatcher, list[_Known]]]:
        """By dispatcher; those whose WorkQueue has none (yet) wait."""
        found: dict[int, tuple[DatabaseDispatcher, list[_Known]]] = {}
        for one in [one for known in self._known.values() for one in known.values() if one.waits]:
            if not self._holds_leases(one.queue):
                one.waits = False  # contract Exit: the launcher reads it
            elif (dispatcher := self._dispatcher(one.queue)) is not None:
                found.setdefault(id(dispatcher), (dispatcher, []))[1].append(one)
        return found

    async def _tell(self, dispatcher: DatabaseDispatcher, ends: list[_Known]) -> None:
        for one in ends:
            queue, of, end = one.queue, one.of, one.told.end
            failure = {
                "class": end.failure_class,
                "reason": storable(end.reason),
                "message": storable(end.message),
            }
            tell = partial(
                dispatcher.ledger.tell_end,
                queue=queue,
                host=of.host,
                container=one.told.container,
                failure=failure,
            )
            try:
                explained = await dispatcher.threads.run(tell)
            except RowlockError as error:
                log.warning("pod_end_not_told", extra={"queue": queue, "pod": of.pod.name, "why": str(error)})
                if isinstance(error, RetryLater):
                    return
                explained = 0  # refused for good: these runs stay RunnerLost
            one.waits = False
            if explained:
                log.info("losses_explained", extra={"queue": queue, "pod": of.pod.name, "runs": explained})

    def _forget(self) -> None:
        """Pods that are gone, and of which nobody is told any more."""
        since = self._clock() - RECENT_SECONDS
        for key in [key for key in self._gone if all(one.since < since for one in self._known[key].values())]:
            self._gone.discard(key)
            del self._known[key]


def _kind(one: _Known) -> str | None:
    drained = one.told.end.reason == "Evicted" and one.of.pod.disruption == "EvictionByEvictionAPI"
    return "Drained" if drained else KINDS.get(one.told.end.reason)


def _words(one: _Known) -> str:
    pod, end = one.of.pod, one.told.end
    if end.reason == "OutOfMemory":
        return f"limit {pod.memory_limit}" if pod.memory_limit else "no limit"
    if end.reason == "NodeLost":
        return f"pod {pod.name} on node {pod.node or '(unknown)'}"
    return (pod.message or pod.disruption_message or f"pod {pod.name}").strip().rstrip(".") + "."
