"""Since when: limits count from what this process saw itself, by its own clock.

A node's clock, the API server's and ours may differ by minutes. An instant that one of them wrote is
therefore not subtracted from ours: the first sight of a fact is. What was there already when this process
began to look has gone on for longer than that, nobody knows how long: it counts from the later of the first
sight and the instant that was written, so that no clock that is ahead or behind ends anything too early. A
kube job's activeDeadlineSeconds, which one controller counts by its own clock, still bounds the whole.

Beside that: which starts of an attempt were seen. A pod that is gone, or a container's record that was lost,
was a start all the same.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen

Fact = tuple[str, str, str]  # uid of a kube job, what it is about (a pod's uid), what was seen of it


class Sightings:
    """Knows nothing of a kube job that nobody asks about. Not for several threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._first: dict[Fact, datetime] = {}
        self._starts: dict[str, set[tuple[str, str]]] = {}
        self._found: frozenset[str] | None = None  # uids of the kube jobs that were there when we began

    def exist(self, uids: Collection[str]) -> None:
        """These kube jobs exist now: what was known of others is forgotten. At the first look they were there
        before us.
        """
        if self._found is None:
            self._found = frozenset(uids)
        for fact in [fact for fact in self._first if fact[0] not in uids]:
            del self._first[fact]
        for uid in [uid for uid in self._starts if uid not in uids]:
            del self._starts[uid]

    def of(self, kube_job: KubeJobSeen, pod: PodSeen | None) -> tuple[KubeJobSeen, PodSeen | None]:
        """Both as they are, with the instants from which their limits count."""
        uid = kube_job.uid
        # A resumed kube job gets another startTime: it waits for its start anew.
        written = kube_job.started_at or kube_job.created_at
        since = self._since((uid, "", f"started {kube_job.started_at}"), written)
        return replace(kube_job, counted_from=since), None if pod is None else self._pod(uid, pod)

    def _pod(self, uid: str, pod: PodSeen) -> PodSeen:
        for one in (pod, *pod.others):
            self._note_start(uid, one)
        counted_from, deleting_at, about = None, None, pod.uid or pod.name
        if pod.started_at is not None:
            counted_from = self._since((uid, about, "started"), pod.started_at)
        if pod.deleting_at is not None:
            first = self._first.setdefault((uid, about, f"deleting {pod.grace}"), self._now()) + pod.grace
            deleting_at = max(first, pod.deleting_at) if self._was_found(uid) else first
        return replace(
            pod,
            counted_from=counted_from,
            deleting_at=deleting_at,
            starts_seen=len(self._starts.get(uid, ())),
        )

    def _since(self, fact: Fact, written: datetime) -> datetime:
        first = self._first.setdefault(fact, self._now())
        return max(first, written) if self._was_found(fact[0]) else first

    def _was_found(self, uid: str) -> bool:
        return self._found is None or uid in self._found

    def _note_start(self, uid: str, pod: PodSeen) -> None:
        if pod.started_at is None:
            return
        starts, name = self._starts.setdefault(uid, set()), pod.uid or pod.name
        if pod.container_id:
            starts.discard((name, ""))
        elif any(of == name for of, _ in starts):
            return
        starts.add((name, pod.container_id))
