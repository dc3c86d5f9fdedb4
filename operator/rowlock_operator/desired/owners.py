"""Whose a child is, as its owner reference says."""

from rowlock_operator.api.kinds import WORK_QUEUES, UserKind
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.meta import Meta


def owner_reference(meta: Meta, kind: UserKind = WORK_QUEUES) -> Manifest:
    """Kubernetes deletes the child with this owner."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
