"""What Kubernetes' words about pods mean to the owner of a WorkQueue."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rowlock_operator.api import reasons
from rowlock_operator.api.container_waits import NEVER_STARTS
from rowlock_operator.api.reasons import Reason
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.observed.queues import Involved, PodProblem, QueueObservation
from rowlock_operator.status.conditions import Verdict

STUCK = "PodStuck"
_MEANING: dict[str, Reason] = {
    **NEVER_STARTS,
    "CrashLoopBackOff": reasons.CRASH_LOOP,
    "OOMKilled": reasons.OUT_OF_MEMORY,
    "Unschedulable": reasons.UNSCHEDULABLE,
    "SchedulingGated": reasons.SCHEDULING_GATED,
    "NoPod": reasons.PODS_NOT_MADE,
    "NodeLost": reasons.NODE_LOST,
    STUCK: reasons.POD_STUCK,
}
STUCK_AFTER = timedelta(seconds=60)  # what a pod with a node needs is there in seconds, where it can be had
_ENDS: dict[str, Reason] = {
    "OOMKilled": reasons.OUT_OF_MEMORY,
    "NodeLost": reasons.NODE_LOST,
    "Evicted": reasons.EVICTED,
    "Drained": reasons.EVICTED,
    "Preempted": reasons.PREEMPTED,
}
# the job controller makes it within a second; where it is refused, Kubernetes says so in Events only
_POD_WITHIN = timedelta(seconds=10)


def pod_problems(pods: list[PodSeen], now: datetime | None = None) -> tuple[PodProblem, ...]:
    """The troubles of these pods, the commonest first, equal ones counted together."""
    found: dict[str, list[tuple[str, PodSeen]]] = {}
    for pod in pods:
        kind, message = _problem(pod, now)
        if kind:
            found.setdefault(kind, []).append((message, pod))
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        _told(kind, *min(each, key=lambda one: (one[0], one[1].name)), len(each)) for kind, each in ordered
    )


def _told(kind: str, message: str, pod: PodSeen, count: int) -> PodProblem:
    # the others say all of it themselves
    involved = Involved(kind="Pod", name=pod.name, uid=pod.uid) if kind == STUCK else None
    return PodProblem(kind=kind, message=message, count=count, involved=involved)


def running_pods(pods: list[PodSeen]) -> int:
    """How many of them have a process of ours that runs."""
    return sum(1 for pod in pods if pod.running_since is not None and not pod.ended and not pod.deleting)


def unready_worker(pods: list[PodSeen]) -> PodSeen | None:
    """One that does not become ready, to ask Kubernetes about."""
    return min(
        (pod for pod in pods if not pod.ready and not pod.ended and not pod.deleting),
        key=lambda pod: pod.name,
        default=None,
    )


def missing_pods(podless: list[KubeJobSeen], now: datetime) -> tuple[PodProblem, ...]:
    """The trouble of kube jobs that should have a pod by now."""
    late = [kube_job for kube_job in podless if now - kube_job.begins_at > _POD_WITHIN]
    if not late:
        return ()
    first = min(late, key=lambda kube_job: kube_job.name)
    return (
        PodProblem(
            kind="NoPod",
            message=first.name,
            count=len(late),
            involved=Involved(kind="Job", name=first.name, uid=first.uid),
        ),
    )


def ended_pods(pods: Sequence[PodSeen]) -> tuple[PodProblem, ...]:
    """What nodes said of the pods that they ended, the commonest first. Others have taken their place: no
    reason not to be Ready.
    """
    found: dict[str, list[str]] = {}
    for pod in pods:
        if pod.phase == "Failed":
            said = pod.message.strip() or f"pod {pod.name} on node {pod.node or '(unknown)'}"
            found.setdefault(pod.reason or "Failed", []).append(said)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        PodProblem(kind=kind, message=sorted(messages)[0], count=len(messages)) for kind, messages in ordered
    )


def with_recent(ended: tuple[PodProblem, ...], recent: tuple[PodProblem, ...]) -> tuple[PodProblem, ...]:
    """Beside the pods that are there to be looked at, ends of the last minutes: of containers that run again,
    of pods that are gone.
    """
    kinds = {problem.kind for problem in ended}
    both = (*ended, *(problem for problem in recent if problem.kind not in kinds))
    return tuple(sorted(both, key=lambda problem: (-problem.count, problem.kind)))


def verdict_on_ended_pods(seen: QueueObservation) -> Verdict | None:
    """Degraded because of the commonest end, as long as the pods are there to be looked at."""
    if not seen.ended_pods:
        return None
    worst = seen.ended_pods[0]
    reason = _ENDS.get(worst.kind, reasons.PODS_FAILED)
    by = "" if worst.kind == "Drained" else " by their node"
    message = reason.says(count=worst.count, kind=worst.kind, why=worst.message, by=by)
    return Verdict(type="Degraded", status="True", reason=reason.name, message=message)


def verdict_on_pods(seen: QueueObservation) -> Verdict | None:
    """Degraded because of the commonest trouble; None where the pods are well."""
    if seen.deployment is not None and seen.deployment.refused:
        message = reasons.QUOTA_EXCEEDED.says(why=seen.deployment.refused)
        return Verdict(type="Degraded", status="True", reason=reasons.QUOTA_EXCEEDED.name, message=message)
    if not seen.pod_problems:
        return None
    worst = seen.pod_problems[0]
    reason = _MEANING.get(worst.kind, reasons.POD_PROBLEM)
    message = reason.says(count=worst.count, why=worst.message or worst.kind)
    return Verdict(type="Degraded", status="True", reason=reason.name, message=message)


def _problem(pod: PodSeen, now: datetime | None) -> tuple[str, str]:
    if now is not None and pod.is_lost(now):
        return "NodeLost", f"pod {pod.name} on node {pod.node or '(unknown)'}"
    if pod.deleting:
        return "", ""
    last = pod.last_terminated
    if pod.waiting_reason in _MEANING:
        if pod.waiting_reason == "CrashLoopBackOff" and last is not None:
            if last.reason == "OOMKilled":
                return "OOMKilled", f"limit {pod.memory_limit}" if pod.memory_limit else "no limit"
            # The end of the process says more than "back-off 40s restarting failed container".
            return "CrashLoopBackOff", last.message.strip() or f"exit code {last.exit_code}"
        return pod.waiting_reason, pod.waiting_message
    if pod.unschedulable is not None:
        return "SchedulingGated" if pod.gated else "Unschedulable", pod.unschedulable
    return _stuck(pod, now)


def _stuck(pod: PodSeen, now: datetime | None) -> tuple[str, str]:
    """It does not run, and nobody says why: a volume, a key of a Secret, an address, an init container
    without end.
    """
    since = pod.scheduled_at or pod.created_at
    if (
        now is None
        or since is None
        or pod.phase != "Pending"
        or pod.started_at is not None
        or now < since + STUCK_AFTER
    ):
        return "", ""
    if not pod.node:
        return STUCK, f"pod {pod.name}: no scheduler has looked at it"
    if not pod.waiting_reason:
        return STUCK, f"pod {pod.name}: node {pod.node} has not taken it up"
    words = f": {pod.waiting_message}" if pod.waiting_message else ""
    return STUCK, f"pod {pod.name}: {pod.waiting_reason}{words}"
