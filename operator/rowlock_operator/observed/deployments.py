"""What we keep of a worker Deployment."""

from collections.abc import Iterable
from dataclasses import dataclass

from rowlock_operator.api.labels import QUEUE_LABEL, SPEC_HASH
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.observed.owners import Owner, controller_of
from rowlock_operator.observed.reading import condition, label


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentSeen:
    """Replica counts, and what tells whether it is the one we want."""

    name: str
    uid: str = ""
    generation: int = 0
    spec_replicas: int = 0
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    spec_hash: str = ""
    work_queue: str | None = None  # whose it is by its label
    controller: Owner | None = None
    refused: str | None = None
    replicas_by: str = ""
    """The field manager that wrote spec.replicas last; "" where nobody knows."""
    replicas_at: str = ""
    replicas_through: str = ""
    """The subresource that it was written through."""

    @property
    def rolled_out(self) -> bool:
        """Every pod has the newest template, and there are as many as asked for."""
        return self.updated == self.replicas == self.spec_replicas


def observe_deployment(manifest: Manifest) -> DeploymentSeen:
    """An apps/v1 Deployment as the API server sends it."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    refused = condition(manifest, "ReplicaFailure")
    by = _writer_of_replicas(metadata.get("managedFields") or ())
    return DeploymentSeen(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        generation=int(metadata.get("generation") or 0),
        spec_replicas=(manifest.get("spec") or {}).get("replicas", 1),
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        spec_hash=(metadata.get("annotations") or {}).get(SPEC_HASH, ""),
        work_queue=label(manifest, QUEUE_LABEL),
        controller=controller_of(manifest),
        refused=None if refused is None else refused.get("message", "pods are refused"),
        replicas_by=str(by.get("manager", "")),
        replicas_at=str(by.get("time", "")),
        replicas_through=str(by.get("subresource", "")),
    )


def _writer_of_replicas(managed_fields: Iterable[Manifest]) -> Manifest:
    """The newest entry of `managedFields` that holds spec.replicas; of two of one second the later one in the
    list.
    """
    holding = [
        each for each in managed_fields if "f:replicas" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max(reversed(holding), key=lambda each: str(each.get("time", "")), default={})
