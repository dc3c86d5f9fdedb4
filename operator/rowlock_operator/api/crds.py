"""The CustomResourceDefinitions as values: names, columns and subresources around the schemas of the
models.
"""

from dataclasses import dataclass
from typing import Any

from rowlock_operator.api.meta import GROUP, VERSION
from rowlock_operator.api.model import ApiModel
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.schema import structural_schema
from rowlock_operator.api.work_queue import WorkQueue

Manifest = dict[str, Any]
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


AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")
REASON = Column(name="Reason", path=f"{_READY}.reason", wide=True)
MESSAGE = Column(name="Message", path=f"{_READY}.message", wide=True)

# A date column shows a growing age without a single write to the status.
WORK_QUEUE_COLUMNS = (
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
)
ROW_SOURCE_COLUMNS = (
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
)
MONITORING_PROCESS_COLUMNS = (
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
)
SCALE: Manifest = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def build_work_queue_crd() -> Manifest:
    """The definition of kind WorkQueue."""
    subresources: Manifest = {"status": {}, "scale": SCALE}
    return _crd(
        WorkQueue, plural="workqueues", short="wq", columns=WORK_QUEUE_COLUMNS, subresources=subresources
    )


def build_row_source_crd() -> Manifest:
    """The definition of kind RowSource."""
    # Not `rs`: kubectl means ReplicaSets by that, and would warn everybody in the cluster of a second
    # meaning.
    return _crd(
        RowSource, plural="rowsources", short="rws", columns=ROW_SOURCE_COLUMNS, subresources={"status": {}}
    )


def build_monitoring_process_crd() -> Manifest:
    """The definition of kind MonitoringProcess."""
    return _crd(
        MonitoringProcess,
        plural="monitoringprocesses",
        short="mp",
        columns=MONITORING_PROCESS_COLUMNS,
        subresources={"status": {}},
    )


def build_crds() -> tuple[Manifest, ...]:
    """Every definition."""
    return build_work_queue_crd(), build_row_source_crd(), build_monitoring_process_crd()


def _crd(
    model: type[ApiModel], *, plural: str, short: str, columns: tuple[Column, ...], subresources: Manifest
) -> Manifest:
    kind = model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            # Deleting a definition deletes every object of its kind, so an uninstall must not.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/name": "rowlock"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["rowlock"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema(model)},
                    "subresources": subresources,
                    "additionalPrinterColumns": [column.drawn() for column in columns],
                }
            ],
        },
    }


def _root_schema(model: type[ApiModel]) -> Manifest:
    """The root may only say of `metadata` that it is an object: the API server owns the rest."""
    schema = structural_schema(model)
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **schema["properties"],
        "metadata": {"type": "object"},
    }
    # a status that nobody wrote must be absent, not empty
    schema["properties"]["status"].pop("default", None)
    schema["required"] = ["spec"]
    return schema
