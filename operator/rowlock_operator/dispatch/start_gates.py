"""Whether kube jobs of each queue start, between the launcher that sees it and the claimer that asks how many
more may be tried.
"""

import threading
import time
from collections.abc import Callable

from rowlock_operator.decide.launching import Starts, launches_allowed
from rowlock_operator.decide.outcome import NotStarted
from rowlock_operator.observed.queues import Trouble

PROBE_SECONDS = 30.0  # that a probe may take beside its deadline: to be created, and to be given back
CREATED_WITHIN_SECONDS = 10.0  # a kube job that was to be made is seen by then, or was not made


class StartGates:
    """By queue id. Kept in memory alone: a new leader finds out again, with at most `parallelism` kube jobs a
    queue.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._starts: dict[int, Starts] = {}  # of queues of which something did not start
        self._starting: dict[int, int] = {}
        # queues of whose repeats one at a time is tried -> until when another may not be
        self._one_repeat: dict[int, float] = {}
        self._repeats: dict[int, int] = {}  # that wait for their start
        self._started: dict[int, float] = {}
        self._generations: dict[int, int | None] = {}

    def started(self, queue_id: int, *, repeat: bool) -> None:
        """A kube job of the queue began to run; `repeat`: of a run whose attempt before did not."""
        with self._lock:
            self._started[queue_id] = self._now()
            self._starts.pop(queue_id, None)
            self._generations.pop(queue_id, None)
            if repeat:
                self._one_repeat.pop(queue_id, None)

    def given_back(self, queue_id: int, run: str, cause: NotStarted, *, repeat: bool = False) -> None:
        """One did not, and was given back."""
        with self._lock:
            self._starts[queue_id] = self._starts.get(queue_id, Starts()).given_back(
                run, cause, self._now(), repeat=repeat
            )
            self._one_repeat.setdefault(queue_id, 0.0)

    def others_start(self, queue_id: int, within_seconds: float) -> bool:
        """Whether something of the queue has started lately."""
        return queue_id in self._started and self._now() - self._started[queue_id] < within_seconds

    def takes_repeat(self, queue_id: int) -> bool:
        """Whether a run whose attempt before did not start may be tried now; if so it is taken to be."""
        with self._lock:
            until = self._one_repeat.get(queue_id)
            if until is None:
                return True
            if self._repeats.get(queue_id, 0) > 0 or self._now() < until:
                return False
            self._one_repeat[queue_id] = self._now() + CREATED_WITHIN_SECONDS
            return True

    def passed_over(self, queue_id: int) -> None:
        """What was claimed is not tried."""
        with self._lock:
            if queue_id in self._starts:
                self._starts[queue_id] = self._starts[queue_id].passed_over(self._now())

    def closed(self, queue_id: int) -> bool:
        starts = self._starts.get(queue_id)
        return starts is not None and starts.closed

    def seen(self, queue_id: int, *, starting: int, repeats: int = 0) -> None:
        """A look at the queue: so many kube jobs of it wait for their start, and so many of these are of
        repeats.
        """
        self._starting[queue_id], self._repeats[queue_id] = starting, repeats

    def asked(self, queue_id: int, generation: int | None) -> None:
        """What its WorkQueue asks for is of this generation."""
        with self._lock:
            before, self._generations[queue_id] = self._generations.get(queue_id, generation), generation
            if before != generation and queue_id in self._starts:
                self._starts[queue_id] = self._starts[queue_id].asked_anew()

    def allowed(self, queue_id: int, *, parallelism: int, in_hand: int, deadline_seconds: float) -> int:
        """How many more runs may be claimed."""
        starts = self._starts.get(queue_id)
        if starts is None:
            return max(0, parallelism - in_hand)
        starting = self._starting.get(queue_id, 0)
        return launches_allowed(
            parallelism=parallelism,
            in_hand=in_hand,
            starts=starts,
            starting=starting,
            now=self._now(),
            deadline_seconds=deadline_seconds,
        )

    def claimed(self, queue_id: int, *, deadline_seconds: float) -> None:
        """Runs were claimed: where the queue is closed, as a probe."""
        if queue_id in self._starts:
            with self._lock:
                if queue_id in self._starts:
                    self._starts[queue_id] = self._starts[queue_id].probed(
                        self._now(), deadline_seconds + PROBE_SECONDS
                    )

    def trouble(self, queue_id: int) -> Trouble | None:
        """Why nothing of the queue starts."""
        starts = self._starts.get(queue_id)
        return None if starts is None else starts.trouble()
