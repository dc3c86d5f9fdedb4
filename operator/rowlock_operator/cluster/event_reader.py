"""What Kubernetes says in Events only: why a pod's volumes or readiness do not come, why a kube job gets no
pod.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import EVENTS
from rowlock_operator.cluster.replies import sentence
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.queues import Involved

log = logging.getLogger("rowlock.cluster")
AGAIN_SECONDS = 30.0  # kubelets repeat what still holds every minute or two
WITHIN_SECONDS = 5.0  # a status does not wait longer for the reason
MOST_EVENTS = 100  # of one object: equal ones are one with a count, and each is kept for an hour
MESSAGE_CHARACTERS = 500
# of a sandbox: another at each try, and with it another status
_IDENTIFIER = re.compile(r"\b[0-9a-f]{32,}\b")


@dataclass
class _Asked:
    at: float
    said: str


class EventReader:
    """The newest Warning Event of an object; asked for only of what is in trouble, at most every
    `again_seconds`.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        again_seconds: float = AGAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._again, self._clock = client, again_seconds, clock
        self._asked: dict[str, _Asked] = {}  # by uid

    async def newest(self, namespace: str, about: Involved) -> str:
        """Its reason and message; what cannot be read now is as it was before, and "" where there is none.
        Raises no error of ours: the object is in trouble whether or not its Events can be read.
        """
        now, uid = self._clock(), about.uid
        known = self._asked.get(uid)
        if known is not None and now - known.at < self._again:
            return known.said
        # Before the answer: a list that fails or hangs is not asked for again at once.
        asked = self._asked[uid] = _Asked(now, known.said if known else "")
        self._asked = {each: kept for each, kept in self._asked.items() if now - kept.at < 20 * self._again}
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                asked.said = newest_of(await self._list(namespace, about))
        except (RowlockError, TimeoutError) as error:
            log.info(
                "events_not_read",
                extra={
                    "about": f"{about.kind}/{namespace}/{about.name}",
                    "why": str(error) or "no answer in time",
                },
            )
        return asked.said

    async def _list(self, namespace: str, about: Involved) -> list[Manifest]:
        of = {"kind": about.kind, "name": about.name, "uid": about.uid}
        selector = ",".join(f"involvedObject.{key}={value}" for key, value in of.items())
        async with aclosing(
            self._client.list_pages(EVENTS, namespace, field_selector=selector, page_size=MOST_EVENTS)
        ) as pages:
            async for page in pages:
                return page.items
        return []


def newest_of(events: list[Manifest]) -> str:
    """The newest Warning, else the newest of all (such as the image that is being pulled), in one line."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    newest = max(warnings or events, key=_when, default=None)
    if newest is None:
        return ""
    said = _IDENTIFIER.sub("...", " ".join(sentence(newest).split())).rstrip(".")
    return f"{newest.get('reason') or 'Event'}: {said[:MESSAGE_CHARACTERS]}"


def _when(event: Manifest) -> str:
    """All in the same form and in UTC, so that text compares as time does."""
    series, metadata = event.get("series") or {}, event.get("metadata") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        metadata.get("creationTimestamp"),
    )
    return next((str(each)[:19] for each in times if each), "")
