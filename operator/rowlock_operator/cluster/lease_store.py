"""The Lease object as the elector's store."""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.kinds import LEASES
from rowlock_operator.cluster.lease import LeaseRecord
from rowlock_operator.cluster.replies import TlsRefused
from rowlock_operator.errors import ApiUnavailable, RowlockError

REQUEST_SECONDS = 3.0
# asked every two seconds, three seconds a request at most: so long without an answer, nobody answers
GAP_SECONDS = 15.0
MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


def lease_client(credentials: Credentials) -> KubeClient:
    """A client of the elector's own: it never waits behind other requests, no request outlives the renew
    deadline, and none is left out because an earlier one was refused (429 with Retry-After): one every two
    seconds burdens nobody.
    """
    return KubeClient(
        credentials,
        ClientSettings(request_timeout_seconds=REQUEST_SECONDS, connections=2, patience_seconds=0.0),
    )


class KubeLease:
    """One Lease object; `read` and `write` take at most 3 s each. Every replica asks for it all the time, so
    it is also the proof that the API server answers at all.
    """

    def __init__(
        self, client: KubeClient, namespace: str, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._namespace, self._name, self._clock = client, namespace, name, clock
        self._answered_at = self._answering_since = clock()
        self._tls_refused_since: float | None = None

    def answering_seconds(self) -> float:
        """How long the API server has been answering without a gap; 0 while it does not."""
        now = self._clock()
        return 0.0 if now - self._answered_at > GAP_SECONDS else now - self._answering_since

    def tls_refused_seconds(self) -> float:
        """For how long every connection has failed on a certificate; 0 where the last one did not."""
        return 0.0 if self._tls_refused_since is None else self._clock() - self._tls_refused_since

    async def read(self) -> LeaseRecord:
        return record_of(await self._asked(self._client.get(LEASES, self._namespace, self._name)))

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        manifest = manifest_of(record, namespace=self._namespace, name=self._name)
        send = self._client.replace if record.version else self._client.create
        return record_of(await self._asked(send(LEASES, manifest)))

    async def _asked(self, request: Awaitable[Manifest]) -> Manifest:
        try:
            answer = await request
        except ApiUnavailable as error:
            if not isinstance(error, TlsRefused):
                self._tls_refused_since = None  # an outage: whether its certificate fits nobody knows
            elif self._tls_refused_since is None:
                self._tls_refused_since = self._clock()
            raise
        except RowlockError:
            self._answered()  # a conflict, a refusal: an answer, too
            raise
        self._answered()
        return answer

    def _answered(self) -> None:
        now = self._clock()
        self._tls_refused_since = None
        if now - self._answered_at > GAP_SECONDS:
            self._answering_since = now
        self._answered_at = now


def record_of(manifest: Manifest) -> LeaseRecord:
    """Raises ApiUnavailable for what is no Lease (a proxy's own answer): asked for again, as after no
    answer.
    """
    try:
        spec = manifest.get("spec") or {}
        return LeaseRecord(
            holder=spec.get("holderIdentity") or "",
            lease_seconds=float(spec.get("leaseDurationSeconds") or 1),
            acquired_at=_time(spec.get("acquireTime")),
            renewed_at=_time(spec.get("renewTime")),
            transitions=int(spec.get("leaseTransitions") or 0),
            version=manifest["metadata"]["resourceVersion"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ApiUnavailable("the answer of the API server is no Lease; is it served by a proxy?") from error


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
