"""What Kubernetes' words about pods mean to the owner of a WorkQueue."""

from datetime import datetime, timedelta

from rowlock_operator.api import reasons
from rowlock_operator.api.reasons import Reason
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.observed.queues import PodProblem, QueueObservation
from rowlock_operator.status.conditions import Verdict

_MEANING: dict[str, Reason] = {
    "ImagePullBackOff": reasons.IMAGE_PULL_FAILED,
    "ErrImagePull": reasons.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": reasons.IMAGE_PULL_FAILED,
    "InvalidImageName": reasons.IMAGE_PULL_FAILED,
    "CrashLoopBackOff": reasons.CRASH_LOOP,
    "CreateContainerConfigError": reasons.CONFIG_MISSING,
    "CreateContainerError": reasons.CONFIG_MISSING,
    "RunContainerError": reasons.CONFIG_MISSING,
    "OOMKilled": reasons.OUT_OF_MEMORY,
    "Unschedulable": reasons.UNSCHEDULABLE,
    "NoPod": reasons.PODS_NOT_MADE,
    "NodeLost": reasons.NODE_LOST,
}
_POD_WITHIN = timedelta(seconds=10)  # the job controller makes it within a second; where it is refused, Kubernetes says so in Events only


def pod_problems(pods: list[PodSeen], now: datetime | None = None) -> tuple[PodProblem, ...]:
    """The troubles of these pods, the commonest first, equal ones counted together."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        kind, message = _problem(pod, now)
        if kind:
            found.setdefault(kind, []).append(message)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(PodProblem(kind=kind, message=sorted(messages)[0], count=len(messages)) for kind, messages in ordered)


def missing_pods(podless: list[KubeJobSeen], now: datetime) -> tuple[PodProblem, ...]:
    """The trouble of kube jobs that should have a pod by now."""
    late = sorted(kube_job.name for kube_job in podless if now - kube_job.created_at > _POD_WITHIN)
    return (PodProblem(kind="NoPod", message=late[0], count=len(late)),) if late else ()


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
                return "OOMKilled", ""
            # The end of the process says more than "back-off 40s restarting failed container".
            return "CrashLoopBackOff", last.message.strip() or f"exit code {last.exit_code}"
        return pod.waiting_reason, pod.waiting_message
    if pod.unschedulable is not None:
        return "Unschedulable", pod.unschedulable
    return "", ""
