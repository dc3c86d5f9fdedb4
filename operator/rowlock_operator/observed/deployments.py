"""What we keep of a worker Deployment."""

from dataclasses import dataclass

from rowlock_operator.observed.reading import Manifest, condition


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentSeen:
    """Replica counts, and what tells whether it is the one we want."""

    name: str
    uid: str = ""
    spec_replicas: int = 0
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    spec_hash: str = ""
    refused: str | None = None

    @property
    def rolled_out(self) -> bool:
        """Every pod has the newest template, and there are as many as asked for."""
        return self.updated == self.replicas == self.spec_replicas


def observe_deployment(manifest: Manifest) -> DeploymentSeen:
    """An apps/v1 Deployment as the API server sends it."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    refused = condition(manifest, "ReplicaFailure")
    return DeploymentSeen(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        spec_replicas=(manifest.get("spec") or {}).get("replicas", 1),
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        spec_hash=(metadata.get("annotations") or {}).get("rowlock.dev/spec-hash", ""),
        refused=None if refused is None else refused.get("message", "pods are refused"),
    )
