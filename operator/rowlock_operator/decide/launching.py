"""How many kube jobs of a queue may be created now, and what those that did not start say of it.

While nothing of a queue starts (no node, no image, a quota), each kube job waits in vain: then one at a time
probes, at growing intervals, and the first that starts opens the queue again. One run that does not start
says nothing of the others: it waits by itself (in the ledger), and only a second one, with no start in
between, closes the queue. Nor do runs that did not start before (repeats): one of them at a time is tried,
until one starts, so that those that never will leave the places to others; and a queue of which only repeats
were tried for a while is open to what is new.
"""

from dataclasses import dataclass, replace

from rowlock_operator.api import reasons
from rowlock_operator.api.container_waits import NEVER_STARTS
from rowlock_operator.api.reasons import Reason
from rowlock_operator.decide.outcome import NotStarted
from rowlock_operator.observed.queues import Trouble

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
_CAUSES: dict[str, Reason] = {
    reason.name: reason
    for reason in (reasons.UNSCHEDULABLE, reasons.SCHEDULING_GATED, *NEVER_STARTS.values())
}


@dataclass(frozen=True, slots=True)
class Starts:
    """What has been seen of one queue since a kube job of it last started. `next_probe_at` by the caller's
    clock, in seconds.
    """

    unstarted: int = 0
    run: str = ""  # the first that did not start
    cause: NotStarted | None = None  # of the last one
    closed: bool = False
    probing: bool = False
    changed: bool = False  # the WorkQueue was, since the last probe
    probes: int = 0
    next_probe_at: float = 0.0
    new_at: float = 0.0  # when a run that was new last did not start

    def given_back(self, run: str, cause: NotStarted, now: float, *, repeat: bool = False) -> "Starts":
        """One more run did not start; `repeat`: nor did its attempt before."""
        new_at = self.new_at if repeat else now
        seen = replace(self, unstarted=self.unstarted + 1, run=self.run or run, cause=cause, new_at=new_at)
        if not self.closed and seen.run == run:
            return seen
        if self.closed and not self.probing:
            return seen  # created before, together with those that closed the queue
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(self.probes, 10))
        return replace(seen, closed=True, probing=False, probes=self.probes + 1, next_probe_at=now + wait)

    def probed(self, now: float, deadline_seconds: float) -> "Starts":
        """A probe begins; whatever becomes of it, another may begin once this one must have started."""
        return (
            replace(self, probing=True, changed=False, next_probe_at=now + deadline_seconds)
            if self.closed
            else self
        )

    def passed_over(self, now: float) -> "Starts":
        """What was claimed as a probe was none."""
        return replace(self, probing=False, next_probe_at=now) if self.probing else self

    def asked_anew(self) -> "Starts":
        """The WorkQueue was changed: what kept its kube jobs from starting may be mended."""
        return replace(self, changed=True, probes=0)

    def trouble(self) -> Trouble | None:
        """Why nothing of the queue starts; None while that is not known."""
        if not self.closed or self.cause is None:
            return None
        known = _CAUSES.get(self.cause.reason, reasons.NOT_STARTING)
        said = (
            self.cause.message
            if known is not reasons.NOT_STARTING
            else f"{self.cause.reason}, {self.cause.message}"
        )
        return Trouble(
            reason=known.name,
            message=f"{known.says(count=self.unstarted, why=said.rstrip('.'))} {reasons.PROBING}",
        )


def launches_allowed(
    *,
    parallelism: int,
    in_hand: int,
    starts: Starts | None = None,
    starting: int = 0,
    now: float = 0.0,
    deadline_seconds: float = 300.0,
) -> int:
    """How many more runs may be claimed for kube jobs. `in_hand`: claimed and not ended; `starting`: kube
    jobs that wait for their start.
    """
    free = max(0, parallelism - in_hand)
    if (
        starts is None
        or not starts.closed
        or now - starts.new_at > 2 * (deadline_seconds + LONGEST_WAIT_SECONDS)
    ):
        return free
    return min(free, 1) if starts.changed or (starting == 0 and now >= starts.next_probe_at) else 0
