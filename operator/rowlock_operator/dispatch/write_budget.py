"""How much kube jobs may put into the API server: etcd keeps every version of an object until it compacts,
and is full for everybody.
"""

import json
import time
from collections.abc import Callable

from rowlock_operator.api import reasons
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.observed.queues import Trouble, trouble

MIB = 1024 * 1024

# kube-apiserver compacts every five minutes what was there at the last time: a version lives for five to ten
# minutes.
WINDOW_SECONDS = 300.0
# Of the bound, so much at once; the rest flows in over the window. A new leader knows nothing of what the
# last one wrote: it may add this.
AT_ONCE = 0.25
# Versions that a run leaves of its kube job and of its pod, which has the kube job's template in it: each
# write of the controllers, the scheduler and the kubelet is another one. And what a version holds besides:
# who wrote which field, and the status.
KUBE_JOB_VERSIONS, POD_VERSIONS = 6, 7
VERSION_BYTES = 3 * 1024
EVENTS_BYTES = 8 * 1024
# As long as claims waited for the bound so shortly ago, it is told, and new ones wait behind them.
TOLD_SECONDS, BEHIND_SECONDS = 30.0, 5.0


def written_bytes(kube_job: Manifest, secret: Manifest | None = None) -> int:
    """About what a run puts into etcd, from its kube job's creation to its end."""
    whole, template = _size(kube_job), _size(kube_job["spec"]["template"])
    versions = KUBE_JOB_VERSIONS * (whole + VERSION_BYTES) + POD_VERSIONS * (template + VERSION_BYTES)
    return versions + EVENTS_BYTES + (0 if secret is None else _size(secret))


class WriteBudget:
    """Bytes that each queue, and all of them together, may write within a window; 0 is no bound. For one
    thread.
    """

    def __init__(
        self, queue_bytes: float, total_bytes: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue_bytes, self._clock = queue_bytes, clock
        self._total = _Bucket(total_bytes, clock())
        self._queues: dict[str, _Bucket] = {}
        self._last: dict[str, int] = {}  # bytes of a queue's run, the last time
        # queue -> since when it waits for the bound of all, and when it last asked
        self._in_line: dict[str, tuple[float, float]] = {}
        # queue -> when claims of it last waited, and whether for the bound of all
        self._held: dict[str, tuple[float, bool]] = {}

    def spend(self, queue: str, size: int) -> bool:
        """Whether so many bytes may be written now; they are spent then. Else the claim waits, and somebody
        asks again.
        """
        self._last[queue] = size
        if not self.fitting(queue, 1):
            return False
        self._bucket(queue).take(size)
        self._total.take(size)
        self._in_line.pop(queue, None)
        return True

    def fitting(self, queue: str, claims: int) -> int:
        """How many of so many claims to try: as many as fit, if they are like the last one of their queue."""
        now, size = self._clock(), self._last.get(queue)
        if size is None:
            return claims
        own = self._bucket(queue).fitting(size, now)
        all_together = self._total.fitting(size, now) if self._is_next(queue, now) else 0
        if min(own, all_together) < claims:
            self._held[queue] = now, all_together < own
        if own and not all_together:
            self._in_line[queue] = self._in_line.get(queue, (now, now))[0], now
        return int(min(own, all_together, claims))

    def _is_next(self, queue: str, now: float) -> bool:
        """Queues that wait for the bound of all take turns: whoever asks most often would have it alone."""
        self._in_line = {
            name: (since, asked)
            for name, (since, asked) in self._in_line.items()
            if now - asked < BEHIND_SECONDS
        }
        return not self._in_line or min(self._in_line, key=lambda name: self._in_line[name][0]) == queue

    def holds_back(self, queue: str) -> bool:
        """Claims of the queue wait already: who comes now waits behind them."""
        return queue in self._held and self._clock() - self._held[queue][0] < BEHIND_SECONDS

    def told(self, queue: str) -> Trouble | None:
        """The bound as a condition says it, where claims of the queue wait for it."""
        if queue not in self._held or self._clock() - self._held[queue][0] >= TOLD_SECONDS:
            return None
        of_all = self._held[queue][1]
        most = self._total.most if of_all else self._queue_bytes
        return trouble(
            reasons.AT_WRITE_BOUND,
            who="All WorkQueues together" if of_all else "This WorkQueue",
            most=round(most / MIB),
        )

    def _bucket(self, queue: str) -> "_Bucket":
        return self._queues.setdefault(queue, _Bucket(self._queue_bytes, self._clock()))


class _Bucket:
    """Fills over the window to what may be written at once; what is larger than that waits until it is full,
    and leaves it in debt.
    """

    def __init__(self, most: float, now: float) -> None:
        self.most, self._at = most, now
        self._room = self._capacity = most * AT_ONCE
        self._rate = most * (1 - AT_ONCE) / WINDOW_SECONDS

    def fitting(self, size: int, now: float) -> float:
        if not self.most:
            return float("inf")
        self._room, self._at = min(self._capacity, self._room + (now - self._at) * self._rate), now
        return max(self._room // size, 1.0 if self._room >= self._capacity else 0.0)

    def take(self, size: int) -> None:
        if self.most:
            self._room -= size


def _size(manifest: Manifest) -> int:
    return len(json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode())
