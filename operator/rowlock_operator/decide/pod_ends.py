"""What a pod says of its own end: why our container or the whole pod is over, and what to do about it.

Who is authoritative: the kubelet and the controllers that end pods, each with its own words (read from
Kubernetes 1.37's source):
  scheduler, taint manager, Eviction API, PodGC   condition DisruptionTarget, then the deletion; a kubelet
  ends the pod as Succeeded where every
                                                  exit code is 0, as Failed otherwise
  kubelet, for want of a resource                 phase Failed, reason Evicted (Preempting for a critical pod,
  Terminated when the node shuts
                                                  down), DisruptionTarget with reason TerminationByKubelet
  kubelet, at admission                           phase Failed, reason OutOfcpu, OutOfmemory, OutOfpods,
  NodeAffinity, ...; nothing was started
  container runtime                               terminated.reason OOMKilled (the whole container under
  cgroup v2), StartError, or Unknown with
                                                  exit code 255 where a node came back and nobody saw the end
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rowlock_operator.observed.pods import PodSeen, Termination

EX_DATAERR = 65  # sysexits.h: the input was wrong, so no repetition helps
MESSAGE_CHARACTERS = 1000
FailureClass = Literal["infra", "app", "input"]

_DISRUPTIONS = {
    "PreemptionByScheduler": "Preempted",
    "DeletionByTaintManager": "NodeLost",
    "EvictionByEvictionAPI": "Evicted",
    "DeletionByPodGC": "NodeLost",
}
_BY_KUBELET = {
    "Evicted": "Evicted",
    "Preempting": "Preempted",
    "Terminated": "NodeShutdown",
    "Shutdown": "NodeShutdown",
    "NodeShutdown": "NodeShutdown",
    "NodeLost": "NodeLost",
}
# the kubelet's eviction messages
_OWN_STORAGE = re.compile(r"exceeds the (total )?limit|exceeded its local ephemeral storage limit")
_REMEDIES = {
    "Evicted": (
        "It is tried again; where a node ran out of a resource, ask for what the work uses in"
        " spec.template.resources.requests"
    ),
    "Preempted": "It is tried again; spec.template.priorityClassName says what may take its place",
    "NodeLost": "It is tried again on another node; `kubectl describe node` of this one tells more",
    "NodeShutdown": "It is tried again on another node",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PodEnd:
    """Class, reason and sentence as the ledger records them for what ran there."""

    failure_class: FailureClass
    reason: str
    message: str


def end_of(pod: PodSeen, *, suspended_at: datetime | None = None) -> PodEnd | None:
    """Why a pod that has ended did; None where our container ended well by itself, or has not ended.

    `suspended_at`: its kube job was suspended then."""
    if not pod.ended:
        return None
    ended, unasked = pod.terminated, pod.ended_unasked(suspended_at)
    if unasked and (pod.phase == "Succeeded" if ended is None else ended.exit_code == 0):
        return None
    if unasked and ended is not None:
        return end_of_container(ended, memory_limit=pod.memory_limit)
    return _ended_by_others(pod, suspended=suspended_at is not None)


def end_of_container(ended: Termination, *, memory_limit: str) -> PodEnd:
    """Why our container ended that nobody had asked to; also of one before, in a pod that goes on."""
    if _out_of_memory(ended):
        return infra("OutOfMemory", out_of_memory(memory_limit))
    if ended.reason in ("ContainerCannotRun", "StartError"):
        return infra("ContainerRefused", ended.message or "the container could not be started")
    if ended.reason == "ContainerStatusUnknown" or (ended.reason == "Unknown" and ended.exit_code == 255):
        return infra(
            "NodeLost",
            with_remedy(
                ended.message or "nobody saw how the container ended: its node went down", "NodeLost"
            ),
        )
    return exit_code(ended.exit_code, ended.message)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldEnd:
    """What is to be told of everything that ran in a container (its id), or in the pod as a whole ('')."""

    container: str
    end: PodEnd


def told_ends(pod: PodSeen, now: datetime) -> tuple[ToldEnd, ...]:
    """What a pod whose runners hold leases says of their end, state and lastState, as failures of class
    infra: a program that serves many runs is not any one run's own. Nothing of an orderly end, in which the
    runners have given back what they held.
    """
    found = []
    before = pod.last_terminated
    if before is not None and before.exit_code != 0:
        end_before = end_of_container(before, memory_limit=pod.memory_limit)
        found.append(ToldEnd(container=_name(pod, before, -1), end=_of_runner(end_before)))
    if not pod.ended and (pod.node_silent or pod.is_lost(now)):
        node = f"node {pod.node or '(unknown)'} does not answer"
        found.append(
            ToldEnd(
                container="",
                end=infra(
                    "NodeLost", with_remedy(f"{node}: nobody knows what pod {pod.name} does", "NodeLost")
                ),
            )
        )
    end = end_of(pod)
    if end is not None:
        # A container that ended in a pod that goes on is started again, and ends as what ran there before.
        goes_on = pod.phase not in ("Succeeded", "Failed")
        container = _name(pod, pod.terminated, 0) if pod.terminated is not None and goes_on else ""
        found.append(ToldEnd(container=container, end=_of_runner(end)))
    return tuple(found)


def _name(pod: PodSeen, ended: Termination, number: int) -> str:
    return ended.container_id or f"start {pod.restarts + number}"


def _of_runner(end: PodEnd) -> PodEnd:
    if end.failure_class == "infra":
        return end
    return infra("RunnerFailed", f"the worker's container ended by itself: {end.message}")


def _out_of_memory(ended: Termination) -> bool:
    """Runtimes say OOMKilled of a container in which any process was ever killed for its memory, also where
    it ended well or by SIGTERM.
    """
    return ended.reason == "OOMKilled" and ended.exit_code not in (0, 143)


def out_of_memory(limit: str) -> str:
    """The sentence, with the limit where there is one."""
    if not limit:
        return (
            "the container ran out of its node's memory: set spec.template.resources.requests.memory and"
            " limits.memory to what it needs"
        )
    return f"the container ran out of memory (limit {limit}): raise spec.template.resources.limits.memory"


def exit_code(code: int, message: str) -> PodEnd:
    """What the program itself said."""
    text = cut(message.strip() or f"exit code {code}")
    if code == EX_DATAERR:
        return PodEnd(failure_class="input", reason="DataError", message=text)
    return PodEnd(failure_class="app", reason="ExitCode", message=text)


def _ended_by_others(pod: PodSeen, *, suspended: bool) -> PodEnd:
    ended = pod.terminated
    if pod.reason == "Evicted" and _OWN_STORAGE.search(pod.message):
        # By a limit of its own, not for want of the node's: it would do so again, so that is no disruption.
        return infra(
            "StorageExceeded", f"{pod.message.strip()} Raise the limit in spec.template, or write less"
        )
    if pod.disruption is not None or pod.reason in _BY_KUBELET:
        reason = _DISRUPTIONS.get(pod.disruption or "") or _BY_KUBELET.get(pod.reason, _unnamed(pod))
        said = (pod.message if pod.reason in _BY_KUBELET else "") or pod.disruption_message or pod.message
        said = said or f"the pod was disrupted: {pod.disruption or pod.reason}"
        return infra(reason, with_remedy(said, reason))
    if ended is not None and _out_of_memory(ended):
        return infra("OutOfMemory", out_of_memory(pod.memory_limit))
    if suspended:
        return infra("JobSuspended", "the kube job was suspended while its pod ran")
    if pod.deleting:
        code = f" (exit code {ended.exit_code})" if ended is not None else ""
        return infra("PodDeleted", f"the pod was deleted while it ran{code}")
    # A kubelet that refuses a pod says why in these two fields alone.
    return infra(pod.reason or "PodFailed", pod.message or "the pod failed and says no more")


def _unnamed(pod: PodSeen) -> str:
    return "Evicted" if pod.disruption == "TerminationByKubelet" else "Disrupted"


def with_remedy(said: str, reason: str) -> str:
    """A sentence of Kubernetes, cut to leave room, and what to do."""
    remedy = _REMEDIES.get(reason)
    if remedy is None:
        return cut(said)
    return f"{cut(said.strip(), MESSAGE_CHARACTERS - len(remedy) - 3).rstrip('. ')}. {remedy}."


def infra(reason: str, message: str) -> PodEnd:
    return PodEnd(failure_class="infra", reason=reason, message=cut(message))


def cut(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
