"""What we keep of a pod: enough to tell why it does not run and how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rowlock_operator.observed.reading import Manifest, condition, instant

# The container that we put into every pod of ours. What others inject beside it is no run of ours: the kubelet sorts containerStatuses by
# name, so that istio-proxy comes before it; native sidecars are in initContainerStatuses, debuggers in ephemeralContainerStatuses.
CONTAINER = "main"
# A kubelet says within seconds of the grace period's end (which deletionTimestamp names) that a pod has ended. One that has not after this
# long does not answer: its node is off, cut off, or hangs. The taint manager has waited 300 s by then, unless the template says otherwise.
CONFIRMED_WITHIN = timedelta(seconds=60)
MADE_BY = "batch.kubernetes.io/controller-uid"  # label of the job controller on its pods


@dataclass(frozen=True, kw_only=True, slots=True)
class Termination:
    """How the container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


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
    restarts: int = 0
    unschedulable: str | None = None
    scheduled_at: datetime | None = None  # when it got its node; None = not yet, or nobody says so
    disruption: str | None = None
    disruption_message: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    terminated: Termination | None = None
    last_terminated: Termination | None = None

    @property
    def ended(self) -> bool:
        """Our process has ended for certain; what was injected beside it may go on."""
        return self.terminated is not None or self.phase in ("Succeeded", "Failed")

    def is_lost(self, now: datetime) -> bool:
        """It was to end, and nobody confirms that it has: the process may be gone with its node, or run on where nobody sees it."""
        return not self.ended and self.deleting_at is not None and now >= self.deleting_at + CONFIRMED_WITHIN

    @property
    def started_at(self) -> datetime | None:
        """When the container's process began; None while it never did."""
        ended = self.terminated or self.last_terminated
        return self.running_since or (ended.started_at if ended else None)


def observe_pod(manifest: Manifest) -> PodSeen:
    """A pod as the API server sends it."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    container: Manifest = next((one for one in status.get("containerStatuses") or () if one.get("name") == CONTAINER), {})
    state, before = container.get("state") or {}, container.get("lastState") or {}
    waiting = _waiting(state, status)
    disruption = condition(manifest, "DisruptionTarget") or {}
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
        restarts=container.get("restartCount", 0),
        unschedulable=_unschedulable(status),
        scheduled_at=instant((condition(manifest, "PodScheduled") or {}).get("lastTransitionTime")),
        disruption=disruption.get("reason"),
        disruption_message=disruption.get("message", ""),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        running_since=instant((state.get("running") or {}).get("startedAt")),
        terminated=_termination(state.get("terminated")),
        last_terminated=_termination(before.get("terminated")),
    )


def _owner_uid(metadata: Manifest) -> str:
    """A pod that was orphaned (its kube job deleted without it) lost the reference; the job controller's label still says whose it was."""
    controllers = (one.get("uid", "") for one in metadata.get("ownerReferences") or () if one.get("controller"))
    uid: str = next(controllers, (metadata.get("labels") or {}).get(MADE_BY, ""))
    return uid


def _waiting(state: Manifest, status: Manifest) -> Manifest:
    """What the container waits for; where that is only the pod's initialization, what holds that up."""
    waiting: Manifest = state.get("waiting") or {}
    if state and waiting.get("reason") != "PodInitializing":
        return waiting
    inits: list[Manifest] = status.get("initContainerStatuses") or []
    before = [(one.get("state") or {}).get("waiting") or {} for one in inits]
    held_up = next((one for one in before if one.get("reason") not in (None, "", "PodInitializing", "ContainerCreating")), waiting)
    # Between two backoffs its state says only that it runs, or has ended: that it crashes is the reason all the same.
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
    """The node controller's mark: it takes Ready from each pod of a node that does not report, and leaves ContainersReady as it was."""
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
    )
