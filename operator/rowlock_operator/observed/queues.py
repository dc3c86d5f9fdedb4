"""One look at everything that concerns a WorkQueue or a RowSource."""

from dataclasses import dataclass, field
from datetime import datetime

from rowlock_operator.api.reasons import Reason
from rowlock_operator.observed.deployments import DeploymentSeen


@dataclass(frozen=True, kw_only=True, slots=True)
class Depth:
    """Runs of one queue in the ledger, by what they wait for; exact."""

    waiting: int = 0
    due: int = 0
    blocked: int = 0
    queued: int = 0
    launching: int = 0
    running: int = 0
    oldest_since: datetime | None = None

    @property
    def load(self) -> int:
        """Runs that a worker could be busy with now: the signal of scaling."""
        return self.due + self.queued + self.launching + self.running


@dataclass(frozen=True, kw_only=True, slots=True)
class Involved:
    """An object of which Kubernetes' Events may say more than it does itself."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PodProblem:
    """The same trouble of `count` pods; `kind` is a Kubernetes word such as ImagePullBackOff."""

    kind: str
    message: str
    count: int = 1
    involved: Involved | None = field(default=None, compare=False)  # one of them, where only Events say why


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Something that keeps the object from working: a reason's name and its filled message."""

    reason: str
    message: str


def trouble(reason: Reason, **gaps: object) -> Trouble:
    """The reason with its message filled; raises KeyError for a gap without a value."""
    return Trouble(reason=reason.name, message=reason.says(**gaps))


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueObservation:
    """What exists of one WorkQueue at `now`; None = not known."""

    now: datetime
    depth: Depth | None = None
    depth_problem: str = ""
    deployment: DeploymentSeen | None = None
    busy_workers: int | None = None
    kube_jobs: int | None = None
    held_kube_jobs: tuple[str, ...] = ()  # names of those that somebody else suspended
    failed: int | None = None
    pod_problems: tuple[PodProblem, ...] = ()
    running_pods: int = 0  # pods whose process runs
    no_worker_for_long: bool = False  # work has waited for a first worker for longer than a start takes
    not_ready_because: str = ""  # the newest Warning Event of a worker that does not become ready
    ended_pods: tuple[PodProblem, ...] = ()  # pods that their node ended; others have taken their place
    at_write_bound: Trouble | None = None  # claims wait, for its kube jobs have written as much as they may
    troubles: tuple[Trouble, ...] = ()
    advice: tuple[Trouble, ...] = ()  # it works, and something needs somebody
    left_over: Trouble | None = None  # why outcomes of a source that it served once cannot be written


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceObservation:
    """What exists of one RowSource at `now`; None = not known. `pending` was counted up to `pending_cap`."""

    now: datetime
    pending: int | None = None
    pending_cap: int = 1000
    running: int | None = None
    done: int | None = None
    failed: int | None = None
    throttled: int | None = None
    left_alone: int | None = None
    last_claim_at: datetime | None = None
    queue_suspended: bool = False
    troubles: tuple[Trouble, ...] = ()
    advice: tuple[Trouble, ...] = ()
