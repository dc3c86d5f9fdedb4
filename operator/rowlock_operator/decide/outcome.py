"""From a kube job and its pod to what became of the attempt (contracts, section 4).

Who is authoritative: Kubernetes says that an attempt ended (the kube job's Complete or Failed, or a pod in an
end phase); the pod says why; where the pod is gone, the kube job's own message does, which the
podFailurePolicy wrote. The exit code decides only where nothing of the platform interfered: a process that
was evicted or killed for memory has one, too. The same for one that was asked to end (deleted, evicted,
preempted, its kube job suspended) and obeyed: exit code 0 is no success then. An end before that moment is
the program's own word, whatever came over its pod afterwards. Of the pod's containers only ours counts: an
injected one neither holds up the outcome nor makes it. An attempt begins once: where Kubernetes has started
our container twice for it (its node rebooted, its record was lost), it ends. A pod on a node that does not
answer is the platform's failure (NodeLost), however long it has run. That its process has ended is not
certain then: the launcher makes the next attempt only once the pod is gone.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rowlock_operator.api.container_waits import NEVER_STARTS
from rowlock_operator.api.work_queue import WorkQueueSpec
from rowlock_operator.decide.pod_ends import FailureClass, PodEnd, cut, end_of, exit_code, infra
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen, of_owner

NESTED_LEVELS = 100  # of a result; jsonb takes some thousands, but readers do not
_EXIT_CODE = re.compile(r"exit code (\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The pod's process runs, or has run, since `at`: time for the start fence."""

    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Succeeded:
    """Exit code 0. `result` is for the ledger."""

    result: Any
    started_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The attempt failed. `running` = it has not ended by itself: delete the kube job."""

    failure_class: FailureClass
    reason: str
    message: str
    started_at: datetime | None = None
    running: bool = False

    def as_failure(self) -> dict[str, Any]:
        """The jsonb that the finish fence takes (contracts, section 1)."""
        return {
            "class": self.failure_class,
            "reason": storable(self.reason),
            "message": storable(self.message),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class NotStarted(Failed):
    """The process never began, and is not waited for any longer: that uses no try. `running` = it could
    still: delete the kube job.
    """


Outcome = Started | Succeeded | Failed


def decide_outcome(
    spec: WorkQueueSpec, *, kube_job: KubeJobSeen, pod: PodSeen | None, now: datetime
) -> Outcome | None:
    """What is known of the attempt; None = it has not started yet and may still do so, or somebody else
    suspended its kube job.
    """
    if spec.is_exit and pod is not None and _starts(pod) > 1:
        return _started_twice(kube_job, pod)
    if kube_job.failed_reason is not None:
        return _by_suspension(kube_job, pod, _failed_job(kube_job, pod))
    if pod is not None:
        ended = _ended_pod(pod, kube_job)
        if ended is not None:
            return _by_suspension(kube_job, pod, ended)
    if kube_job.complete:
        if kube_job.suspended_at is not None:
            return Failed(
                failure_class="infra",
                reason="JobSuspended",
                message="the kube job was suspended while its pod ran",
            )
        # The pod is already gone, and its termination message with it. Nothing says that anybody asked it to
        # end.
        return Succeeded(result={})
    if kube_job.held:
        return _running(pod)  # no limit counts meanwhile, and its pod ends
    return _overdue(spec, kube_job, pod, now) or _running(pod)


def decide_orphan(pod: PodSeen | None, *, kube_job_uid: str) -> Succeeded | Failed | None:
    """What a pod of a kube job that somebody deleted says, where it had ended before: finished work is not
    done again. None = nothing.
    """
    pod = of_owner(pod, kube_job_uid)
    if pod is None or not pod.owner_uid or not pod.ended or not pod.ended_unasked() or _starts(pod) > 1:
        return None
    end = end_of(pod)
    return _succeeded(pod) if end is None else _failed(end, pod.started_at)


def _starts(pod: PodSeen) -> int:
    """As the pods say it, and as was seen: what is gone cannot say it any more."""
    return max(pod.starts_seen, sum(one.starts for one in (pod, *pod.others)))


def _started_twice(kube_job: KubeJobSeen, pod: PodSeen) -> Failed:
    pods = ", ".join(one.name for one in (*pod.others, pod) if one.starts)
    message = (
        f"Kubernetes started the container {_starts(pod)} times for this attempt (pod {pods}): its node"
        " rebooted or lost its record"
    )
    ended = kube_job.ended or all(one.ended for one in (pod, *pod.others))
    return replace(_infra(pod, "StartedTwice", message), running=not ended)


def _running(pod: PodSeen | None) -> Started | None:
    return Started(at=pod.started_at) if pod is not None and pod.started_at is not None else None


def _ended_pod(pod: PodSeen, kube_job: KubeJobSeen) -> Succeeded | Failed | None:
    """The pod's own end; None while it has not ended."""
    if not pod.ended:
        return None
    asked = pod.deleting and not pod.ended_unasked()
    if asked and pod.disruption is None and "DeadlineExceeded" in (kube_job.failing_reason, pod.reason):
        return _deadline(pod, pod.message)
    end = end_of(pod, suspended_at=kube_job.suspended_at)
    if end is None:
        return _succeeded(pod)
    return _failed(end, pod.started_at) if pod.began else _not_started(end.reason, end.message)


def _succeeded(pod: PodSeen) -> Succeeded:
    return Succeeded(
        result=_result(pod.terminated.message if pod.terminated else ""), started_at=pod.started_at
    )


def _failed(end: PodEnd, started_at: datetime | None) -> Failed:
    return Failed(
        failure_class=end.failure_class, reason=end.reason, message=end.message, started_at=started_at
    )


def _failed_job(kube_job: KubeJobSeen, pod: PodSeen | None) -> Outcome:
    """The kube job failed: the pod's words first, else its own."""
    if kube_job.failed_reason == "DeadlineExceeded" and (
        pod is None or (pod.disruption is None and not _ended_before(pod))
    ):
        # Its pod was killed for it, whatever exit code that left. One that its node had lost before was not.
        if pod is None and kube_job.pods_failed:
            return _failed(infra("PodLost", kube_job.failed_message), None)
        return _deadline(pod, kube_job.failed_message)
    ended = _ended_pod(pod, kube_job) if pod is not None else None
    if ended is not None:
        return ended
    message = kube_job.failed_message or f"the kube job failed: {kube_job.failed_reason}"
    if pod is not None and not pod.began:
        return _never_started(pod, message)
    started_at = pod.started_at if pod is not None else None
    if kube_job.failed_reason == "PodFailurePolicy" and "DisruptionTarget" not in message:
        code = _EXIT_CODE.search(message)
        if code is not None:
            return _signal_or_exit(int(code.group(1)), started_at)
    reason = "Disrupted" if "DisruptionTarget" in message else "PodLost"
    return Failed(failure_class="infra", reason=reason, message=cut(message), started_at=started_at)


def _by_suspension(kube_job: KubeJobSeen, pod: PodSeen | None, outcome: Outcome) -> Outcome:
    """Whoever suspends a kube job that runs (Kueue preempts so) ends its pod, and the pod's end fails the
    kube job. The pod may have ended before the Job controller wrote the condition Suspended: spec.suspend
    alone says by then who asked it to end.
    """
    words = ("PodDeleted",) if pod is not None else ("Killed", "PodLost", "ExitCode", "DataError")
    if not kube_job.suspended or not isinstance(outcome, Failed) or outcome.reason not in words:
        return outcome
    message = f"its kube job was suspended while it ran, by Kueue's preemption or by hand ({outcome.message})"
    return replace(outcome, failure_class="infra", reason="JobSuspended", message=cut(message))


def _ended_before(pod: PodSeen) -> bool:
    """Its own end was noted, and came before the deadline did."""
    return pod.terminated is not None and pod.terminated.finished_at is not None and pod.ended_unasked()


def _signal_or_exit(code: int, started_at: datetime | None) -> Failed:
    """Only the number is left: 137 (SIGKILL) and 143 (SIGTERM) with a vanished pod are a deletion or the
    memory killer.
    """
    if code in (137, 143):
        message = f"the pod is gone and its container was killed (exit code {code})"
        return Failed(failure_class="infra", reason="Killed", message=message, started_at=started_at)
    return _failed(exit_code(code, ""), started_at)


def _deadline(pod: PodSeen | None, message: str) -> Failed:
    """Before the start it is the platform's fault, after it the program's."""
    started_at = pod.started_at if pod is not None else None
    if started_at is None:
        return _never_started(pod, message)
    return Failed(
        failure_class="app",
        reason="HardTimeLimit",
        message="the run took longer than hardSeconds",
        started_at=started_at,
    )


def _never_started(pod: PodSeen | None, message: str) -> NotStarted:
    if pod is not None and pod.unschedulable is not None:
        if pod.gated:
            return _not_started("SchedulingGated", f"a scheduling gate holds the pod: {pod.unschedulable}")
        return _not_started("Unschedulable", f"no node for the pod: {pod.unschedulable}")
    if pod is not None and pod.waiting_reason in NEVER_STARTS:
        return _not_started(
            NEVER_STARTS[pod.waiting_reason].name, f"{pod.waiting_reason}: {pod.waiting_message}".rstrip(": ")
        )
    if pod is None and not message:
        message = (
            "no pod was made within startingDeadlineSeconds: a ResourceQuota or an admission rule of the"
            " namespace refuses it"
        )
    return _not_started("NotStarted", message or "the pod did not start within startingDeadlineSeconds")


def _not_started(reason: str, message: str) -> NotStarted:
    return NotStarted(failure_class="infra", reason=reason, message=cut(message))


def _overdue(spec: WorkQueueSpec, kube_job: KubeJobSeen, pod: PodSeen | None, now: datetime) -> Failed | None:
    """Limits that Kubernetes knows only as their sum (activeDeadlineSeconds counts from the kube job's
    start), or not at all.
    """
    if pod is not None and pod.is_lost(now):
        return _lost(pod)
    started_at = pod.started_at if pod is not None else None
    if started_at is None:
        since = kube_job.counted_from or kube_job.begins_at
        overdue = now >= since + timedelta(seconds=spec.starting_deadline_seconds)
        return replace(_never_started(pod, ""), running=True) if overdue else None
    # No pod has begun before its kube job was made: a node that says so has another clock.
    since = (pod.counted_from if pod is not None else None) or max(started_at, kube_job.created_at)
    if pod is None or not spec.is_exit or now < since + timedelta(seconds=spec.limits.hard_seconds):
        return None
    if pod.deleting_at is not None and (
        pod.disruption is not None or kube_job.failing_reason != "DeadlineExceeded"
    ):
        return None  # somebody else ends it: how it ended is told within its own bound
    if pod.node_silent or pod.disruption is not None:
        return _lost(pod)
    return replace(_deadline(pod, ""), running=True)


def _lost(pod: PodSeen) -> Failed:
    """The platform has it no more in hand: neither that it runs nor that it has ended is certain."""
    at = f" since {pod.deleting_at:%Y-%m-%dT%H:%M:%SZ}" if pod.deleting_at is not None else ""
    message = (
        f"node {pod.node or '(unknown)'} does not answer: nobody confirms that pod {pod.name} has ended{at}"
    )
    return replace(_infra(pod, "NodeLost", message), running=True)


def _infra(pod: PodSeen, reason: str, message: str) -> Failed:
    return _failed(infra(reason, message), pod.started_at) if pod.began else _not_started(reason, message)


def _result(message: str) -> Any:
    """JSON where the termination message parses to what PostgreSQL can hold, else the text under `message`;
    {} for nothing.

    What the kubelet cut off at 4,096 bytes is no JSON any more, and so becomes text.
    """
    text = storable(message).strip()
    if not text:
        return {}
    try:
        parsed = json.loads(text, parse_constant=_no_number)
        return parsed if all(_is_storable(value) for value in _values(parsed)) else {"message": text}
    except (ValueError, RecursionError):  # no JSON, or nested too deeply to be read
        return {"message": text}


def storable(text: str) -> str:
    """Text as PostgreSQL takes it: without NUL, and half characters replaced."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _values(parsed: Any) -> Iterator[Any]:
    """Every key and value in it. Raises RecursionError where it is nested more deeply than anybody can
    read.
    """
    level, depth = [parsed], 0
    while level:
        depth += 1
        if depth > NESTED_LEVELS:
            raise RecursionError
        yield from level
        inner = [value for value in level if isinstance(value, (dict, list))]
        yield from (key for value in inner if isinstance(value, dict) for key in value)
        level = [one for value in inner for one in (value.values() if isinstance(value, dict) else value)]


def _is_storable(value: Any) -> bool:
    """Whether jsonb takes it: Python reads \\u0000, half characters and 1e999 (as infinity) without a
    word.
    """
    if isinstance(value, str):
        return storable(value) == value
    return not isinstance(value, float) or math.isfinite(value)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
