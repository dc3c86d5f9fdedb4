"""The last step of every look: one status write where something changed, and Events only after it
succeeded.
"""

from rowlock_operator.api.manifest import Kind, Manifest, ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.errors import NotFound
from rowlock_operator.reconcile.objects import Primary, PrimaryCache, manifest_of


class Reporter:
    """Writes statuses and the Events that follow from them."""

    def __init__(self, kube: KubeClient, cache: PrimaryCache, events: EventWriter) -> None:
        self._kube, self._cache, self._events = kube, cache, events

    async def report(self, kind: Kind, key: ObjectKey, primary: Primary, status: Manifest) -> None:
        """Writes `status` where it differs from what is there; then says so where Ready or Degraded
        changed.
        """
        before = primary.status
        if status == before:
            return
        removed = {field: None for field in before if field not in status}
        try:
            with self._cache.own_write(kind, key) as took:
                took(await self._kube.patch_status(kind, key.namespace, key.name, {**status, **removed}))
        except NotFound:
            return
        await self._tell(kind, manifest_of(kind, key, primary), before, status)

    async def _tell(self, kind: Kind, about: Manifest, before: Manifest, after: Manifest) -> None:
        old = {c["type"]: (c["status"], c["reason"]) for c in before.get("conditions") or ()}
        for condition in after.get("conditions") or ():
            if condition["type"] not in ("Ready", "Degraded", "Suspended"):
                continue
            now = (condition["status"], condition["reason"])
            if now == old.get(condition["type"]):
                continue
            bad = (
                now[0] == ("False" if condition["type"] == "Ready" else "True")
                and condition["type"] != "Suspended"
            )
            was = old.get(condition["type"])
            # A first "all is well" and a mere change of words among good states are no news.
            if bad or (was is not None and was[0] != now[0]):
                await self._events.write(
                    kind, about, reason=condition["reason"], message=condition["message"], warning=bad
                )
