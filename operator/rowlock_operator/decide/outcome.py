"""From a kube job and its pod to what became of the attempt (contracts, section 4).

Who is authoritative: Kubernetes says that an attempt ended (the kube job's Complete or Failed, or a pod in an end phase);
the pod says why; where the pod is gone, the kube job's own message does, which the podFailurePolicy wrote.
The exit code decides only where nothing of the platform interfered: a process that was evicted or killed for memory has one, too.
Of the pod's containers only ours counts: an injected one neither holds up the outcome nor makes it.
A pod on a node that does not answer is the platform's failure (NodeLost), however long it has run. That its process has ended is not certain
then: the launcher makes the next attempt only once the pod is gone.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from rowlock_operator.api.work_queue import WorkQueueSpec
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen, Termination

EX_DATAERR = 65  # sysexits.h: the input was wrong, so no repetition helps
MESSAGE_CHARACTERS = 1000
NESTED_LEVELS = 100  # of a result; jsonb takes some thousands, but readers do not
_EXIT_CODE = re.compile(r"exit code (\d+)")
_NEVER_STARTS = {
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImagePull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "CreateContainerConfigError": "ConfigMissing",
    "CreateContainerError": "ContainerRefused",
    "RunContainerError": "ContainerRefused",
}

FailureClass = Literal["infra", "app", "input"]


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
        return {"class": self.failure_class, "reason": storable(self.reason), "message": storable(self.message)}


Outcome = Started | Succeeded | Failed


def decide_outcome(spec: WorkQueueSpec, *, kube_job: KubeJobSeen, pod: PodSeen | None, now: datetime) -> Outcome | None:
    """What is known of the attempt; None = it has not started yet and may still do so."""
    if kube_job.failed_reason is not None:
        return _failed_job(kube_job, pod)
    if pod is not None:
        ended = _ended_pod(pod)
        if ended is not None:
            return ended
    if kube_job.complete:
        # The pod is already gone, and its termination message with it; that it succeeded is certain.
        return Succeeded(result={})
    return _overdue(spec, kube_job, pod, now) or _running(pod)


def _running(pod: PodSeen | None) -> Started | None:
    return Started(at=pod.started_at) if pod is not None and pod.started_at is not None else None


def _ended_pod(pod: PodSeen) -> Succeeded | Failed | None:
    """The pod's own end; None while it has not ended."""
    if pod.terminated is None and pod.phase not in ("Succeeded", "Failed"):
        return None
    ended = pod.terminated
    # Phase Succeeded is certain even where the container's state was lost.
    if pod.phase == "Succeeded" or (ended is not None and ended.exit_code == 0 and not _interrupted(pod)):
        return Succeeded(result=_result(ended.message if ended else ""), started_at=pod.started_at)
    if pod.disruption is not None:
        return _infra(pod, _disruption(pod.disruption), pod.disruption_message or pod.message or f"the pod was disrupted: {pod.disruption}")
    if pod.reason == "Evicted":
        return _infra(pod, "Evicted", pod.message or "the node ran out of a resource")
    if pod.reason in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated", "Preempting", "UnexpectedAdmissionError", "NodeAffinity"):
        return _infra(pod, pod.reason, pod.message or f"the node ended the pod: {pod.reason}")
    if pod.reason == "DeadlineExceeded":
        return _deadline(pod, pod.message)
    if ended is None:
        return _infra(pod, pod.reason or "PodFailed", pod.message or "the pod failed and says no more")
    return _failed_container(pod, ended)


def _interrupted(pod: PodSeen) -> bool:
    """An exit code 0 after SIGTERM from an eviction is an end, not a success: the work may be half done."""
    return pod.disruption is not None or pod.reason in ("Evicted", "DeadlineExceeded")


def _failed_container(pod: PodSeen, ended: Termination) -> Failed:
    if ended.reason == "OOMKilled":
        return _infra(pod, "OutOfMemory", "the container ran out of memory: raise spec.template.resources.limits.memory")
    if ended.reason in ("ContainerCannotRun", "StartError"):
        return _infra(pod, "ContainerRefused", ended.message or "the container could not be started")
    if ended.reason == "ContainerStatusUnknown":
        return _infra(pod, "NodeLost", ended.message or "the container was lost with its node")
    if pod.deleting:
        return _infra(pod, "PodDeleted", f"the pod was deleted while it ran (exit code {ended.exit_code})")
    return _exit(ended.exit_code, ended.message, pod.started_at)


def _exit(code: int, message: str, started_at: datetime | None) -> Failed:
    text = message.strip() or f"exit code {code}"
    if code == EX_DATAERR:
        return Failed(failure_class="input", reason="DataError", message=_cut(text), started_at=started_at)
    return Failed(failure_class="app", reason="ExitCode", message=_cut(text), started_at=started_at)


def _failed_job(kube_job: KubeJobSeen, pod: PodSeen | None) -> Outcome:
    """The kube job failed: the pod's words first, else its own."""
    if kube_job.failed_reason == "DeadlineExceeded" and (pod is None or pod.disruption is None):
        # Its pod was killed for it, whatever exit code that left. One that its node had lost before was not.
        return _deadline(pod, kube_job.failed_message)
    ended = _ended_pod(pod) if pod is not None else None
    if ended is not None:
        return ended
    message = kube_job.failed_message or f"the kube job failed: {kube_job.failed_reason}"
    started_at = pod.started_at if pod is not None else None
    if kube_job.failed_reason == "PodFailurePolicy" and "DisruptionTarget" not in message:
        code = _EXIT_CODE.search(message)
        if code is not None:
            return _signal_or_exit(int(code.group(1)), started_at)
    reason = "Disrupted" if "DisruptionTarget" in message else "PodLost"
    return Failed(failure_class="infra", reason=reason, message=_cut(message), started_at=started_at)


def _signal_or_exit(code: int, started_at: datetime | None) -> Failed:
    """Only the number is left: 137 (SIGKILL) and 143 (SIGTERM) with a vanished pod are a deletion or the memory killer."""
    if code in (137, 143):
        message = f"the pod is gone and its container was killed (exit code {code})"
        return Failed(failure_class="infra", reason="Killed", message=message, started_at=started_at)
    return _exit(code, "", started_at)


def _deadline(pod: PodSeen | None, message: str) -> Failed:
    """Before the start it is the platform's fault, after it the program's."""
    started_at = pod.started_at if pod is not None else None
    if started_at is None:
        return _never_started(pod, message)
    return Failed(failure_class="app", reason="HardTimeLimit", message="the run took longer than hardSeconds", started_at=started_at)


def _never_started(pod: PodSeen | None, message: str) -> Failed:
    if pod is not None and pod.unschedulable is not None:
        return Failed(failure_class="infra", reason="Unschedulable", message=_cut(f"no node for the pod: {pod.unschedulable}"))
    if pod is not None and pod.waiting_reason in _NEVER_STARTS:
        text = f"{pod.waiting_reason}: {pod.waiting_message}".rstrip(": ")
        return Failed(failure_class="infra", reason=_NEVER_STARTS[pod.waiting_reason], message=_cut(text))
    if pod is None and not message:
        message = "no pod was made within startingDeadlineSeconds: a ResourceQuota or an admission rule of the namespace refuses it"
    return Failed(
        failure_class="infra", reason="NotStarted", message=_cut(message or "the pod did not start within startingDeadlineSeconds")
    )


def _overdue(spec: WorkQueueSpec, kube_job: KubeJobSeen, pod: PodSeen | None, now: datetime) -> Failed | None:
    """Limits that Kubernetes knows only as their sum (activeDeadlineSeconds counts from the kube job's start), or not at all."""
    if pod is not None and pod.is_lost(now):
        return _lost(pod)
    started_at = pod.started_at if pod is not None else None
    if started_at is None:
        overdue = now >= kube_job.created_at + timedelta(seconds=spec.starting_deadline_seconds)
        return replace(_never_started(pod, ""), running=True) if overdue else None
    if pod is None or not spec.is_exit or now < started_at + timedelta(seconds=spec.limits.hard_seconds):
        return None
    if pod.deleting_at is not None and (pod.disruption is not None or kube_job.failing_reason != "DeadlineExceeded"):
        return None  # somebody else ends it: how it ended is told within its own bound
    if pod.node_silent or pod.disruption is not None:
        return _lost(pod)
    return replace(_deadline(pod, ""), running=True)


def _lost(pod: PodSeen) -> Failed:
    """The platform has it no more in hand: neither that it runs nor that it has ended is certain."""
    at = f" since {pod.deleting_at:%Y-%m-%dT%H:%M:%SZ}" if pod.deleting_at is not None else ""
    message = f"node {pod.node or '(unknown)'} does not answer: nobody confirms that pod {pod.name} has ended{at}"
    return replace(_infra(pod, "NodeLost", message), running=True)


def _disruption(reason: str) -> str:
    """Kubernetes' words for a disruption, as ours."""
    known = {
        "PreemptionByScheduler": "Preempted",
        "DeletionByTaintManager": "NodeLost",
        "EvictionByEvictionAPI": "Evicted",
        "DeletionByPodGC": "NodeLost",
        "TerminationByKubelet": "Evicted",
    }
    return known.get(reason, "Disrupted")


def _infra(pod: PodSeen, reason: str, message: str) -> Failed:
    return Failed(failure_class="infra", reason=reason, message=_cut(message), started_at=pod.started_at)


def _result(message: str) -> Any:
    """JSON where the termination message parses to what PostgreSQL can hold, else the text under `message`; {} for nothing.

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
    """Every key and value in it. Raises RecursionError where it is nested more deeply than anybody can read."""
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
    """Whether jsonb takes it: Python reads \\u0000, half characters and 1e999 (as infinity) without a word."""
    if isinstance(value, str):
        return storable(value) == value
    return not isinstance(value, float) or math.isfinite(value)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 3] + "..."
