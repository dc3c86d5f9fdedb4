"""Autoscalers that somebody else has pointed at a Deployment of ours."""

import time
from collections.abc import Callable

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import HORIZONTAL_POD_AUTOSCALERS, SCALED_OBJECTS
from rowlock_operator.errors import GiveUp, NotFound

KEEP_SECONDS = 15.0  # one reading of a namespace serves all of its queues


class Scalers:
    """Reads only when asked, and only for queues whose number is about to change."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, dict[str, str]]] = {}
        self._blind: set[str] = set()

    async def of(self, namespace: str, deployment: str) -> str | None:
        """Kind and name of the one that scales it, None where there is none, or where we may not look. Raises
        RetryLater."""
        known = self._known.get(namespace)
        if known is None or self._clock() - known[0] >= KEEP_SECONDS:
            known = self._known[namespace] = (self._clock(), await self._read(namespace))
        return known[1].get(deployment)

    def may_look(self, namespace: str) -> bool:
        """Whether the last reading saw the autoscalers of the namespace."""
        return namespace not in self._blind

    async def _read(self, namespace: str) -> dict[str, str]:
        found: dict[str, str] = {}
        self._blind.discard(namespace)
        # KEDA makes an autoscaler of its own for each ScaledObject: that one's name says more.
        for kind in (HORIZONTAL_POD_AUTOSCALERS, SCALED_OBJECTS):
            try:
                items = await self._client.list(kind, namespace)
            except NotFound:
                continue  # no KEDA here
            except GiveUp:
                self._blind.add(namespace)  # no right: the number itself tells who wrote it
                continue
            found |= {
                name: f"{kind.kind} {item['metadata']['name']}"
                for item in items
                if (name := _deployment(item))
            }
        return found


def _deployment(scaler: Manifest) -> str | None:
    """The Deployment it scales; of a ScaledObject a Deployment is what is meant where no kind is named."""
    target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(target.get("apiVersion") or "apps/v1").partition("/")[0]
    return (
        target.get("name") if (group, target.get("kind") or "Deployment") == ("apps", "Deployment") else None
    )
