"""The CustomResourceDefinitions as values: what `kinds.py` says, around the schemas of the models."""

from collections.abc import Mapping
from types import MappingProxyType

from rowlock_operator.api.kinds import KINDS, MONITORING_PROCESSES, ROW_SOURCES, WORK_QUEUES, UserKind
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.model import ApiModel
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.schema import structural_schema
from rowlock_operator.api.user_object import UserObject
from rowlock_operator.api.work_queue import WorkQueue

MODELS: Mapping[UserKind, type[UserObject]] = MappingProxyType(
    {WORK_QUEUES: WorkQueue, ROW_SOURCES: RowSource, MONITORING_PROCESSES: MonitoringProcess}
)
"""What is written in an object of each kind. A test compares with `KINDS`."""


def build_crds() -> tuple[Manifest, ...]:
    """Every definition."""
    return tuple(build_crd(kind) for kind in KINDS)


def build_crd(kind: UserKind) -> Manifest:
    """The definition of one kind."""
    subresources: Manifest = {"status": {}} | ({"scale": dict(kind.scale)} if kind.scale else {})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.definition,
            # Deleting a definition deletes every object of its kind, so an uninstall must not.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/name": "rowlock"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short],
                "categories": ["rowlock"],
            },
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema(MODELS[kind])},
                    "subresources": subresources,
                    "additionalPrinterColumns": [column.drawn() for column in kind.columns],
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
