"""What we keep of a pod: enough to tell why it does not run and how it ended.

Three machines write a pod's instants: the node (when a container began and ended), the API server (creation,
deletion, most conditions), and this one reads them. Clocks of two machines are never compared as they are:
see `PodSeen.ended_unasked` and observed/sightings.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rowlock_operator.api.labels import ATTEMPT_LABEL, CONTAINER, QUEUE_LABEL, RUN_LABEL
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.observed.reading import condition, instant, label

# A kubelet says within seconds of the grace period's end (which deletionTimestamp names) that a pod has
# ended. One that has not after this long does not answer: its node is off, cut off, or hangs. The taint
# manager has waited 300 s by then, unless the template says otherwise.
CONFIRMED_WITHIN = timedelta(seconds=60)
# reasons of a container's end, as its runtime gives them
NEVER_EXECUTED = ("ContainerCannotRun", "StartError")
MADE_BY = "batch.kubernetes.io/controller-uid"  # label of the job controller on its pods
_HOST_CHARACTERS = 63
_ENDED_BY_NODE = (
    "Evicted",
    "Terminated",
    "Preempting",
    "DeadlineExceeded",
    "NodeShutdown",
    "Shutdown",
    "NodeLost",
)
# The scheduler binds a pod, and its kubelet takes note of it, within a second or two: what lies between the
# two notes is the difference of two clocks. A kubelet that was away takes note late, never early; so a node
# that seems to be ahead must be so by far.
_BEHIND_AT_LEAST, _AHEAD_AT_LEAST = timedelta(seconds=5), timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Termination:
    """How the container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSeen:
    """One pod, and of its containers the one that runs our process."""

    name: str
    uid: str = ""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    ready: bool = False
    owner_uid: str = ""  # of the kube job or ReplicaSet that made it
    created_at: datetime | None = None
    node: str = ""
    node_silent: bool = False  # its node stopped reporting; what the pod says is what was last heard
    deleting: bool = False
    deleting_at: datetime | None = None  # when it was to have ended: the grace period is in it
    grace: timedelta = timedelta(0)  # what of that is its grace period
    end_asked: bool = False  # somebody asked it to end: a deletion, a disruption
    end_asked_at: datetime | None = (
        None  # since when, by the node's clock as far as that can be told; None = not known
    )
    node_ahead: timedelta = timedelta(0)  # of the API server's clock
    container_id: str = ""
    memory_limit: str = ""  # of our container, as the pod states it
    restarts: int = 0
    unschedulable: str | None = None
    scheduled_at: datetime | None = None  # when it got its node; None = not yet, or nobody says so
    gated: bool = False  # by a scheduling gate, which somebody else takes away
    disruption: str | None = None
    disruption_message: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    counted_from: datetime | None = (
        # since when its hard limit counts, by our own clock (dispatch/sightings.py); None = nobody looked
        None
    )
    starts_seen: int = 0  # of our container for this attempt, by our own memory
    terminated: Termination | None = None
    last_terminated: Termination | None = None
    others: "tuple[PodSeen, ...]" = ()  # older pods of the same attempt

    @property
    def ended(self) -> bool:
        """Our process has ended for certain; what was injected beside it may go on."""
        return self.terminated is not None or self.phase in ("Succeeded", "Failed")

    @property
    def began(self) -> bool:
        """Whether our process may have begun: what could not even be executed has not, whatever times its
        state carries.
        """
        if self.terminated is not None:
            return self.terminated.reason not in NEVER_EXECUTED
        return self.started_at is not None

    def is_lost(self, now: datetime) -> bool:
        """It was to end, and nobody confirms that it has: the process may be gone with its node, or run on
        where nobody sees it.
        """
        return not self.ended and self.deleting_at is not None and now >= self.deleting_at + CONFIRMED_WITHIN

    @property
    def started_at(self) -> datetime | None:
        """When the container's process began; None while it never did."""
        ended = self.terminated or self.last_terminated
        return self.running_since or (ended.started_at if ended else None)

    def ended_unasked(self, suspended_at: datetime | None = None) -> bool:
        """Our process ended before anybody asked it to (`suspended_at`: its kube job was suspended then): how
        it ended is its own word. In doubt it is not, for work may be half done.
        """
        if not self.end_asked and suspended_at is None:
            return True
        finished = self.terminated.finished_at if self.terminated is not None else None
        if finished is None or (self.end_asked and self.end_asked_at is None):
            return False
        asked = [
            at
            for at in (self.end_asked_at, suspended_at and suspended_at + self.node_ahead)
            if at is not None
        ]
        # Kubernetes writes whole seconds, and a program that obeys SIGTERM at once ends within the one in
        # which it was asked.
        return finished < min(asked)

    @property
    def starts(self) -> int:
        """How often Kubernetes has started our container in it, as far as is known."""
        if self.started_at is None and self.restarts == 0:
            return 0
        return 1 + max(self.restarts, int(self.last_terminated is not None))


@dataclass(frozen=True, slots=True)
class OwnedPod:
    """A pod of ours and whose it is; `attempt` only for pods of kube jobs."""

    work_queue: str
    attempt: tuple[str, int] | None
    pod: PodSeen

    @property
    def host(self) -> str:
        """Where its runners say they run: a kubelet cuts a pod's name to what a host name may be."""
        if self.attempt is not None:
            return f"once {self.attempt[0]}-{self.attempt[1]}"
        return self.pod.name[:_HOST_CHARACTERS].rstrip("-.")


def of_owner(pod: PodSeen | None, uid: str) -> PodSeen | None:
    """Of an attempt's pods those that this kube job made (or nobody knows who): the newest, with the others.
    A kube job that somebody deleted may have left one, whose end is not this one's.
    """
    if pod is None:
        return None
    return newest([one for one in (replace(pod, others=()), *pod.others) if one.owner_uid in ("", uid)])


def newest(pods: Sequence[PodSeen]) -> PodSeen | None:
    """The newest of an attempt's pods by creation, with the others; None for none. Names of pods end in
    random letters and say nothing.
    """
    if not pods:
        return None
    if len(pods) == 1:
        return pods[0]
    last = max(pods, key=lambda pod: (str(pod.created_at or ""), str(pod.started_at or ""), pod.name))
    return replace(last, others=tuple(pod for pod in pods if pod is not last))


def observe_owned_pod(manifest: Manifest) -> OwnedPod:
    """The same with what our labels say of it."""
    run_id, attempt = label(manifest, RUN_LABEL), label(manifest, ATTEMPT_LABEL) or ""
    return OwnedPod(
        label(manifest, QUEUE_LABEL) or "",
        (run_id, int(attempt)) if run_id and attempt.isdecimal() else None,
        observe_pod(manifest),
    )


def observe_pod(manifest: Manifest) -> PodSeen:
    """A pod as the API server sends it."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    container: Manifest = next(
        (one for one in status.get("containerStatuses") or () if one.get("name") == CONTAINER), {}
    )
    state, before = container.get("state") or {}, container.get("lastState") or {}
    waiting = _waiting(state, status)
    disruption = condition(manifest, "DisruptionTarget") or {}
    ahead = _node_ahead(manifest)
    return PodSeen(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        ready=condition(manifest, "Ready") is not None,
        owner_uid=_owner_uid(metadata),
        created_at=instant(metadata.get("creationTimestamp")),
        node=(manifest.get("spec") or {}).get("nodeName", ""),
        node_silent=_node_silent(manifest),
        deleting=bool(metadata.get("deletionTimestamp")),
        deleting_at=instant(metadata.get("deletionTimestamp")),
        grace=_grace(manifest) if metadata.get("deletionTimestamp") else timedelta(0),
        end_asked=bool(
            disruption or metadata.get("deletionTimestamp") or status.get("reason") in _ENDED_BY_NODE
        ),
        end_asked_at=_end_asked_at(manifest, disruption, ahead),
        node_ahead=ahead,
        container_id=container.get("containerID", ""),
        memory_limit=_memory_limit(manifest.get("spec") or {}),
        restarts=container.get("restartCount", 0),
        unschedulable=_unschedulable(status),
        scheduled_at=instant((condition(manifest, "PodScheduled") or {}).get("lastTransitionTime")),
        gated=any(one.get("reason") == "SchedulingGated" for one in status.get("conditions") or ()),
        disruption=disruption.get("reason"),
        disruption_message=disruption.get("message", ""),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        running_since=instant((state.get("running") or {}).get("startedAt")),
        terminated=_termination(state.get("terminated")),
        last_terminated=_termination(before.get("terminated")),
    )


def _memory_limit(spec: Manifest) -> str:
    ours: Manifest = next((one for one in spec.get("containers") or () if one.get("name") == CONTAINER), {})
    limits = (((one.get("resources") or {}).get("limits") or {}).get("memory") for one in (ours, spec))
    return str(next((limit for limit in limits if limit), ""))


def _end_asked_at(manifest: Manifest, disruption: Manifest, ahead: timedelta) -> datetime | None:
    """When the end was first asked for, as the node's clock had it. A disruption comes a moment before its
    deletion, and may come alone.
    """
    metadata, asked = manifest["metadata"], []
    marked = instant(disruption.get("lastTransitionTime"))
    if marked is not None:
        # the kubelet's own words bear its own clock
        by_node = disruption.get("reason") == "TerminationByKubelet"
        asked.append(marked if by_node else marked + ahead)
    deleting = instant(metadata.get("deletionTimestamp"))
    if deleting is not None:
        asked.append(deleting - _grace(manifest) + ahead)
    return min(asked, default=None)


def _grace(manifest: Manifest) -> timedelta:
    """The grace period that is in the deletionTimestamp; the API server writes it beside it."""
    asked = (manifest.get("spec") or {}).get("terminationGracePeriodSeconds")
    seconds = manifest["metadata"].get("deletionGracePeriodSeconds", 30 if asked is None else asked)
    return timedelta(seconds=seconds or 0)


def _node_ahead(manifest: Manifest) -> timedelta:
    """By how much the node's clock is ahead of the API server's (negative: behind); zero where they differ by
    less than can be told.
    """
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    bound = next(
        (one.get("lastTransitionTime") for one in conditions if one.get("type") == "PodScheduled"), None
    )
    noted, scheduled = instant((manifest.get("status") or {}).get("startTime")), instant(bound)
    if noted is None or scheduled is None:
        return timedelta(0)
    ahead = noted - scheduled
    return ahead if ahead <= -_BEHIND_AT_LEAST or ahead >= _AHEAD_AT_LEAST else timedelta(0)


def _owner_uid(metadata: Manifest) -> str:
    """A pod that was orphaned (its kube job deleted without it) lost the reference; the job controller's
    label still says whose it was.
    """
    controllers = (
        one.get("uid", "") for one in metadata.get("ownerReferences") or () if one.get("controller")
    )
    uid: str = next(controllers, (metadata.get("labels") or {}).get(MADE_BY, ""))
    return uid


def _waiting(state: Manifest, status: Manifest) -> Manifest:
    """What the container waits for; where that is only the pod's initialization, what holds that up."""
    waiting: Manifest = state.get("waiting") or {}
    if state and waiting.get("reason") != "PodInitializing":
        return waiting
    inits: list[Manifest] = status.get("initContainerStatuses") or []
    before = [(one.get("state") or {}).get("waiting") or {} for one in inits]
    held_up = next(
        (
            one
            for one in before
            if one.get("reason") not in (None, "", "PodInitializing", "ContainerCreating")
        ),
        waiting,
    )
    # Between two backoffs its state says only that it runs, or has ended: that it crashes is the reason all
    # the same.
    crashed = next((words for one in inits if (words := _crashed(one))), "")
    return {"reason": "CrashLoopBackOff", "message": crashed} if crashed else held_up


def _crashed(container: Manifest) -> str:
    """How an init container that is started again and again ended last; "" where it does not crash."""
    states = (container.get("state") or {}, container.get("lastState") or {})
    ended: Manifest = next((state["terminated"] for state in states if state.get("terminated")), {})
    if not container.get("restartCount") or not ended.get("exitCode"):
        return ""
    words = str(ended.get("message") or "").strip() or f"exit code {ended['exitCode']}"
    return f"init container {container.get('name', '(unnamed)')}: {words}"


def _node_silent(manifest: Manifest) -> bool:
    """The node controller's mark: it takes Ready from each pod of a node that does not report, and leaves
    ContainersReady as it was.
    """
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    ready: Manifest = next((one for one in conditions if one.get("type") == "Ready"), {})
    lost = ready.get("status") == "False" and ready.get("reason") != "ReadinessGatesNotReady"
    return lost and condition(manifest, "ContainersReady") is not None


def _unschedulable(status: Manifest) -> str | None:
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return str(one.get("message") or one.get("reason") or "no node fits")
    return None


def _termination(ended: Manifest | None) -> Termination | None:
    if not ended:
        return None
    return Termination(
        exit_code=ended.get("exitCode", -1),
        reason=ended.get("reason", ""),
        message=ended.get("message", ""),
        started_at=instant(ended.get("startedAt")),
        finished_at=instant(ended.get("finishedAt")),
        container_id=ended.get("containerID", ""),
    )
