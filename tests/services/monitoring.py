"""What the chart installs for MonitoringProcesses, as manifests for an operator that a test starts by
itself.
"""

import functools
from pathlib import Path
from typing import Any

from tests.chart.rendering import render
from tests.services.manifests import Manifest, monitoring_process
from tests.services.operator_room import OperatorRoom

KEY = "dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="  # 32 times a letter of "test": no key of anybody


@functools.cache
def _rendered() -> tuple[Manifest, ...]:
    documents = render("--set", "domain.monitoring.enabled=true")
    ours = ("WorkQueue", "RowSource")
    return tuple(
        d
        for d in documents
        if d["kind"] in ours and d["metadata"]["labels"]["app.kubernetes.io/component"] == "monitoring"
    )


def pipeline(**limits: Any) -> list[Manifest]:
    """The WorkQueues and RowSources of the chart; `limits` replaces spec.limits of the posting source."""
    made = []
    for document in _rendered():
        spec = {**document["spec"]}
        if document["kind"] == "WorkQueue":
            spec.pop("databaseRef")
        elif limits and document["metadata"]["name"] == "monitoring-posting":
            spec["limits"] = limits["posting"]
        made.append(
            {
                **document,
                "metadata": {"name": document["metadata"]["name"], "namespace": "default"},
                "spec": spec,
            }
        )
    return made


def install(room: OperatorRoom, folder: Path, **limits: Any) -> dict[str, str]:
    """The pipeline in a room; returns the environment that operators and workers need besides."""
    keys = folder / "encryption-keys"
    keys.write_text(KEY + "\n")
    for manifest in pipeline(**limits):
        room.create(manifest)
    return {"rowlock_encryption_keys_file": str(keys)}


def process_of(name: str = "watch", **spec: Any) -> Manifest:
    """A MonitoringProcess whose Secret is `login-ada`."""
    return monitoring_process(name, **spec)
