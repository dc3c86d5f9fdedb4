"""Writes Kubernetes Events: few, deduplicated, never in anybody's way."""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rowlock_operator.api.manifest import Kind, Manifest
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import EVENTS
from rowlock_operator.errors import NotFound, RowlockError

log = logging.getLogger("rowlock.cluster")

WINDOW_SECONDS = 600.0  # the same reason about the same object within this time is one Event with a count
# at most 25 writes at once and one every 2 s after: a storm of errors is no storm of Events
BURST, REFILL_SECONDS = 25.0, 2.0
MESSAGE_CHARS = 1024  # the API refuses longer ones


@dataclass
class _Sent:
    name: str
    count: int
    first_at: float


class EventWriter:
    """Called after a status write succeeded, so that an Event never speaks of what did not happen."""

    def __init__(
        self,
        client: KubeClient,
        *,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._instance, self._clock, self._now = client, instance, clock, now
        self._sent: dict[tuple[str, str], _Sent] = {}
        self._tokens, self._refilled_at = BURST, clock()
        self.dropped = 0

    async def write(
        self, kind: Kind, about: Manifest, *, reason: str, message: str, warning: bool = False
    ) -> bool:
        """Says `reason` (CamelCase) and `message` about an object; False where it was dropped (rate, or the
        API refused). Raises no error of ours: an Event is a courtesy.
        """
        if not self._take_token():
            self.dropped += 1
            return False
        try:
            await self._write(
                kind, about, reason, message[:MESSAGE_CHARS], "Warning" if warning else "Normal"
            )
        except RowlockError as error:
            self.dropped += 1
            log.info("event_dropped", extra={"reason": reason, "error": str(error)})
            return False
        return True

    async def _write(self, kind: Kind, about: Manifest, reason: str, message: str, type_: str) -> None:
        metadata = about["metadata"]
        identity = (metadata["uid"], reason)
        self._forget_old()
        sent = self._sent.get(identity)
        if sent is not None:
            patch = {"count": sent.count + 1, "lastTimestamp": self._stamp(), "message": message}
            try:
                await self._client.merge_patch(EVENTS, metadata["namespace"], sent.name, patch)
            except NotFound:
                del self._sent[identity]  # the API's own retention took it: begin a new one
            else:
                sent.count += 1
                return
        name = self._name(metadata["name"], *identity)
        await self._client.create(EVENTS, self._manifest(kind, about, name, reason, message, type_))
        self._sent[identity] = _Sent(name, 1, self._clock())

    def _manifest(
        self, kind: Kind, about: Manifest, name: str, reason: str, message: str, type_: str
    ) -> Manifest:
        metadata, stamp = about["metadata"], self._stamp()
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": metadata["namespace"], "name": name},
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message,
            "type": type_,
            "count": 1,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "source": {"component": "rowlock-operator"},
            "reportingComponent": "rowlock.dev/operator",
            "reportingInstance": self._instance,
        }

    def _name(self, object_name: str, uid: str, reason: str) -> str:
        # Another instance, or a later window, makes another Event; the same call repeated does not.
        text = f"{uid} {reason} {self._instance} {self._now().isoformat()}"
        return f"{object_name[:200]}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _stamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _forget_old(self) -> None:
        limit = self._clock() - WINDOW_SECONDS
        for identity in [identity for identity, sent in self._sent.items() if sent.first_at <= limit]:
            del self._sent[identity]

    def _take_token(self) -> bool:
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._refilled_at) / REFILL_SECONDS)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
