"""Which of several releases serves a namespace: one Lease in each, so that no two of them write the same
objects.

Who is authoritative: the Lease `rowlock-watched-by` in the namespace, changed only by PUT with its
resourceVersion. Its holder is a release, not a pod: a new replica or version of the same release goes on at
once. It is not given back at an end, so that an upgrade is no change of hands; it lapses. As with the
leader's Lease, nobody's clock but one's own is believed: a release trusts itself for two thirds of the time
after it SENT its last renewal, another takes over once it has SEEN no renewal for all of it, without having
been blind meanwhile. Where another release holds it, one leaves a word in its annotation and writes nothing
else; the holder takes the word away with its next renewal, and tells of it for as long as it comes back.
On each failure:
  the API server does not answer      -> nothing is written anyway; what is ours is ours again with the next
    answer, unless it was taken
  the Role does not allow the Lease   -> served all the same, and told: one release is the rule
  the namespace is being deleted      -> nothing can be made in it, nobody can be in the way
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import LEASES
from rowlock_operator.cluster.lease_store import MICRO_TIME
from rowlock_operator.errors import Conflict, GiveUp, NotFound, RetryLater, RowlockError
from rowlock_operator.observed.queues import Trouble

log = logging.getLogger("rowlock.lease")
LEASE_NAME = "rowlock-watched-by"
ALSO = "rowlock.dev/also-watched-by"
TICK_SECONDS = 1.0
RENEWALS_A_SECOND = 10.0  # of all namespaces together; with many, each Lease lasts longer, and says so itself
AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Served:
    """Who serves a namespace. `rival`: a release that would, too; `trouble`: why we could not make sure that
    nobody else does."""

    ours: bool
    holder: str
    rival: str = ""
    trouble: Trouble | None = None


@dataclass
class _Claim:
    """What one Lease said when we last looked; instants by our own clock."""

    holder: str = ""
    signature: tuple[Any, ...] = ()
    seconds: float = 0.0
    changed_at: float = 0.0
    looked_at: float = float("-inf")
    renewed_at: float = float("-inf")
    rival: str = ""
    rival_at: float = float("-inf")
    trouble: Trouble | None = None
    gone: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class NamespaceLeases:
    """`on_change(namespace)` is told when a namespace came into our hands or left them, and when a rival came
    or went. One event loop, but `others` may be asked from any thread."""

    def __init__(
        self,
        client: KubeClient,
        release: str,
        *,
        lease_seconds: float,
        on_change: Callable[[str], None] = lambda _namespace: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`release`: namespace/name of ours; `lease_seconds`: how long a Lease lasts without a renewal, at
        least."""
        self.release = release
        self._client, self._least_seconds, self._on_change, self._clock = (
            client,
            lease_seconds,
            on_change,
            clock,
        )
        self._claims: dict[str, _Claim] = {}

    async def of(self, namespace: str) -> Served:
        """Who serves it now; asks the API server where that is not known for certain. Raises RetryLater where
        it cannot be told."""
        claim = self._claims.setdefault(namespace, _Claim())
        if not self._certain(claim):
            async with claim.lock:  # many objects of one namespace ask at once: one of them looks
                if not self._certain(claim):
                    await self._look(namespace, claim)
        if not self._certain(claim):
            raise RetryLater(
                f"namespace {namespace}: which release serves it is not known yet", AGAIN_SECONDS
            )
        return self._served(claim)

    def known(self, namespace: str) -> Served | None:
        """What was last seen; None where nothing was."""
        claim = self._claims.get(namespace)
        return None if claim is None else self._served(claim)

    def others(self, namespace: str) -> bool:
        """Whether it is known to be another release's."""
        claim = self._claims.get(namespace)
        return claim is not None and claim.holder not in ("", self.release)

    async def run(self, namespaces: Callable[[], Iterable[str]]) -> None:
        """Renews what is ours and looks at what is not, until cancelled; a namespace that is not in use any
        more is let lapse."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            used = set(namespaces())
            for namespace in [*self._claims]:
                if namespace not in used and not self._claims[namespace].lock.locked():
                    del self._claims[namespace]
            now = self._clock()
            for namespace, claim in tuple(self._claims.items()):
                if now - claim.looked_at >= self._interval_seconds():
                    try:
                        await self.look(namespace)
                    except RowlockError as error:
                        log.warning(
                            "namespace_lease_failed", extra={"namespace": namespace, "error": str(error)}
                        )

    def _interval_seconds(self) -> float:
        return max(self._least_seconds / 3, len(self._claims) / RENEWALS_A_SECOND)

    def _certain(self, claim: _Claim) -> bool:
        if claim.trouble is not None or claim.gone:
            return True
        now = self._clock()
        if claim.holder == self.release:
            return now < claim.renewed_at + claim.seconds * 2 / 3
        return bool(claim.holder) and now < claim.looked_at + self._interval_seconds() * 3

    def _served(self, claim: _Claim) -> Served:
        ours = claim.trouble is not None or claim.gone or claim.holder == self.release
        return Served(ours, self.release if ours else claim.holder, claim.rival, claim.trouble)

    async def look(self, namespace: str) -> None:
        """Renews, takes or reads the Lease of a namespace; raises RetryLater where the API server does not
        answer."""
        claim = self._claims.setdefault(namespace, _Claim())
        async with claim.lock:
            await self._look(namespace, claim)

    async def _look(self, namespace: str, claim: _Claim) -> None:
        before = self._served(claim) if claim.looked_at > float("-inf") else None
        try:
            await self._claim(namespace, claim)
            claim.trouble, claim.gone = None, False
        except Conflict:
            raise RetryLater(f"Lease {namespace}/{LEASE_NAME} was changed meanwhile", AGAIN_SECONDS) from None
        except NotFound:
            claim.gone = True
        except GiveUp as error:
            claim.trouble = Trouble(reason=error.reason, message=str(error))
        claim.looked_at = self._clock()
        after = self._served(claim)
        if after != before:
            log.info(
                "namespace_served_by",
                extra={"namespace": namespace, "release": after.holder, "rival": after.rival},
            )
        if before is not None and after != before:  # who looks first hears the answer
            self._on_change(namespace)

    async def _claim(self, namespace: str, claim: _Claim) -> None:
        lease = await self._client.find(LEASES, namespace, LEASE_NAME)
        now, seconds = self._clock(), 3 * self._interval_seconds()
        if lease is None:
            await self._client.create(LEASES, self._lease(namespace, seconds, None))
            self._took(claim, now, seconds)
            return
        spec = lease.get("spec") or {}
        claim.holder = str(spec.get("holderIdentity") or "")
        signature = (claim.holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        # Who did not look for a while cannot say that nothing was renewed meanwhile.
        if signature != claim.signature or now - claim.looked_at > 2 * self._interval_seconds():
            claim.signature, claim.changed_at = signature, now
        word = (lease["metadata"].get("annotations") or {}).get(ALSO, "")
        lapsed = now >= claim.changed_at + float(spec.get("leaseDurationSeconds") or 1)
        if claim.holder in ("", self.release) or lapsed:
            await self._client.replace(LEASES, self._lease(namespace, seconds, lease))
            if word and word != self.release:
                claim.rival, claim.rival_at = word, now
            elif now - claim.rival_at > seconds:
                claim.rival = ""
            self._took(claim, now, seconds)
        elif word != self.release:
            metadata = lease["metadata"]
            annotations = {**(metadata.get("annotations") or {}), ALSO: self.release}
            await self._client.replace(
                LEASES, {**lease, "metadata": {**metadata, "annotations": annotations}}
            )

    def _took(self, claim: _Claim, now: float, seconds: float) -> None:
        claim.holder, claim.renewed_at, claim.seconds = self.release, now, seconds

    def _lease(self, namespace: str, seconds: float, before: Manifest | None) -> Manifest:
        spec = (before or {}).get("spec") or {}
        now = datetime.now(UTC).strftime(MICRO_TIME)
        ours = spec.get("holderIdentity") == self.release
        labels = {"app.kubernetes.io/managed-by": "rowlock"}
        metadata: Manifest = {"namespace": namespace, "name": LEASE_NAME, "labels": labels}
        if before is not None:
            found = before["metadata"]
            annotations = {
                name: text for name, text in (found.get("annotations") or {}).items() if name != ALSO
            }
            metadata |= {"resourceVersion": found["resourceVersion"], "annotations": annotations}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.release,
                "leaseDurationSeconds": max(1, round(seconds)),
                "acquireTime": spec.get("acquireTime") if ours else now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if ours else 1),
            },
        }
