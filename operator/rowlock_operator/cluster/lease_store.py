"""The Lease object as the elector's store."""

from datetime import datetime

from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.kinds import LEASES, Manifest
from rowlock_operator.cluster.lease import LeaseRecord

REQUEST_SECONDS = 3.0
MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def lease_client(credentials: Credentials) -> KubeClient:
    """A client of the elector's own: it never waits behind other requests, and no request outlives the renew deadline."""
    return KubeClient(credentials, ClientSettings(request_timeout_seconds=REQUEST_SECONDS, connections=2, patience_seconds=0.0))


class KubeLease:
    """One Lease object; `read` and `write` take at most 3 s each."""

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client, self._namespace, self._name = client, namespace, name

    async def read(self) -> LeaseRecord:
        return record_of(await self._client.get(LEASES, self._namespace, self._name))

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        manifest = manifest_of(record, namespace=self._namespace, name=self._name)
        send = self._client.replace if record.version else self._client.create
        return record_of(await send(LEASES, manifest))


def record_of(manifest: Manifest) -> LeaseRecord:
    spec = manifest.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        lease_seconds=float(spec.get("leaseDurationSeconds") or 1),
        acquired_at=_time(spec.get("acquireTime")),
        renewed_at=_time(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=manifest["metadata"]["resourceVersion"],
    )


def manifest_of(record: LeaseRecord, *, namespace: str, name: str) -> Manifest:
    metadata = {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/managed-by": "rowlock"}}
    if record.version:
        metadata["resourceVersion"] = record.version
    spec = {
        "holderIdentity": record.holder or None,
        "leaseDurationSeconds": max(1, round(record.lease_seconds)),
        "acquireTime": record.acquired_at and record.acquired_at.strftime(MICRO_TIME),
        "renewTime": record.renewed_at and record.renewed_at.strftime(MICRO_TIME),
        "leaseTransitions": record.transitions,
    }
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
