"""The kinds that users ask for, one entry each: names, printer columns, and what the operator must be allowed
to do for them.

Whatever lists kinds reads `KINDS` or is generated from it: the definitions (`crds.py` adds the models), the
watches, the chart's rights (`charts/rowlock/files/kinds.yaml`), the Tiltfile, the reference pages. Needs
nothing but the standard library, so that a program without the models may read it, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rowlock_operator.api.manifest import Kind, Manifest

GROUP = "rowlock.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
_READY = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of `kubectl get`; wide ones only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def drawn(self) -> Manifest:
        """As the CRD wants it."""
        made: Manifest = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return made | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, kw_only=True)
class Need:
    """A right on another API's resources that a kind's controller cannot work without: one rule of a Role."""

    why: str
    """A sentence for whoever reads the Role."""
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class UserKind(Kind):
    """A kind of ours: users write specs, the operator writes statuses."""

    short: str
    """Short name for kubectl, free of other kinds' meanings."""
    columns: tuple[Column, ...]
    scale: Mapping[str, str] | None = field(default=None, hash=False)
    """Paths of the scale subresource; None where it has none."""
    owns_children: bool = False
    """Whether owner references may name it, which block its deletion: OpenShift wants a right for that."""
    needs: tuple[Need, ...] = ()
    """What its controller reads and writes beside objects of ours. The chart's values name Secrets."""

    @property
    def definition(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"


def _ours(
    kind: str,
    plural: str,
    short: str,
    columns: tuple[Column, ...],
    *,
    scale: Mapping[str, str] | None = None,
    owns_children: bool = False,
    needs: tuple[Need, ...] = (),
) -> UserKind:
    return UserKind(GROUP, VERSION, plural, kind, short, columns, scale, owns_children, needs)


AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")
REASON = Column(name="Reason", path=f"{_READY}.reason", wide=True)
MESSAGE = Column(name="Message", path=f"{_READY}.message", wide=True)

# A date column shows a growing age without a single write to the status.
WORK_QUEUES = _ours(
    "WorkQueue",
    "workqueues",
    "wq",
    (
        Column(name="Mode", path=".spec.mode"),
        Column(name="Ready", path=f"{_READY}.status"),
        Column(name="Backlog", path=".status.backlogDisplay"),
        Column(name="Running", path=".status.running", type="integer"),
        Column(name="Oldest", path=".status.oldestSince", type="date"),
        Column(name="Failed", path=".status.failed", type="integer"),
        Column(name="Suspended", path=".spec.suspend", type="boolean"),
        Column(name="Workers", path=".status.replicas", type="integer", wide=True),
        Column(name="Kube Jobs", path=".status.kubeJobs", type="integer", wide=True),
        REASON,
        MESSAGE,
        AGE,
    ),
    scale=MappingProxyType(
        {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    ),
    owns_children=True,
    needs=(
        Need(
            why="Workers.",
            group="apps",
            resources=("deployments",),
            verbs=("get", "list", "watch", "create", "patch", "delete"),
        ),
        Need(why="", group="apps", resources=("deployments/scale",), verbs=("get", "patch")),
        Need(
            why="One Kubernetes Job a run.",
            group="batch",
            resources=("jobs",),
            verbs=("get", "list", "watch", "create", "patch", "delete"),
        ),
        Need(
            why="Why a pod does not run; its deletion cost, so that idle workers go first; a canceled run's"
            " pod.",
            group="",
            resources=("pods",),
            verbs=("get", "list", "watch", "patch", "delete"),
        ),
        Need(
            why="Autoscalers that somebody has pointed at a worker Deployment: their number is not"
            " contested.",
            group="autoscaling",
            resources=("horizontalpodautoscalers",),
            verbs=("list",),
        ),
        Need(why="", group="keda.sh", resources=("scaledobjects",), verbs=("list",)),
    ),
)

# Not `rs`: kubectl means ReplicaSets by that, and would warn everybody in the cluster of a second meaning.
ROW_SOURCES = _ours(
    "RowSource",
    "rowsources",
    "rws",
    (
        Column(name="Table", path=".spec.table"),
        Column(name="Queue", path=".spec.workQueueRef.name"),
        Column(name="Pending", path=".status.pendingDisplay"),
        Column(name="Running", path=".status.running", type="integer"),
        Column(name="Done", path=".status.done", type="integer"),
        Column(name="Failed", path=".status.failed", type="integer"),
        Column(name="Ready", path=f"{_READY}.status", wide=True),
        REASON,
        MESSAGE,
        AGE,
    ),
    owns_children=True,
)

MONITORING_PROCESSES = _ours(
    "MonitoringProcess",
    "monitoringprocesses",
    "mp",
    (
        Column(name="Phase", path=".status.phase"),
        Column(name="Progress", path=".status.progress"),
        Column(name="Waiting", path=".status.waiting", type="integer"),
        Column(name="Failed", path=".status.failed", type="integer"),
        Column(name="Active", path=".status.active", type="integer"),
        Column(name="Next", path=".status.nextDiscoveryTime"),
        Column(name="Last Error", path=".status.lastError"),
        Column(name="Articles", path=".status.articles", type="integer", wide=True),
        Column(name="Generated", path=".status.generated", type="integer", wide=True),
        Column(name="Per Minute", path=".status.perMinute", wide=True),
        Column(name="Ends", path=".status.endsAt", wide=True),
        REASON,
        MESSAGE,
        AGE,
    ),
)

KINDS = (WORK_QUEUES, ROW_SOURCES, MONITORING_PROCESSES)
"""All of them, in the order in which every list names them."""
BY_PLURAL: Mapping[str, UserKind] = MappingProxyType({kind.plural: kind for kind in KINDS})
