"""Whether a look may act in a namespace at all, and what is said where two releases watch it.

The one that serves it says so in the conditions, since it alone writes statuses there; the other one says it
in an Event of each object.
"""

from collections.abc import Collection

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import BY_PLURAL
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.namespace_leases import NamespaceLeases, Served
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.reconcile.objects import PrimaryCache, manifest_of


class ServedNamespaces:
    """`watched`: the namespaces that this release was told to watch; None among them means all."""

    def __init__(
        self,
        leases: NamespaceLeases,
        objects: PrimaryCache,
        events: EventWriter,
        *,
        watched: Collection[str | None],
    ) -> None:
        self._leases, self._objects, self._events, self._watched = leases, objects, events, watched
        self._told: dict[str, str] = {}  # uid -> the release that it was told of

    async def run(self) -> None:
        """Keeps the Leases of the namespaces in which there is something to serve, until cancelled."""
        await self._leases.run(lambda: {key.namespace for key in self._objects.keys()})  # noqa: SIM118

    async def by_other(self, key: ObjectKey) -> bool:
        """Whether another release serves this object, which is told then. Raises RetryLater where nobody can
        say."""
        primary = self._objects.get(key)
        if primary is None:
            return self._leases.others(key.namespace)
        served = await self._leases.of(key.namespace)
        if served.ours:
            self._told.pop(primary.uid, None)
            return False
        if self._told.get(primary.uid) != served.holder:
            self._told[primary.uid] = served.holder
            kind = BY_PLURAL[key.kind]
            said = self._watched_by_other(key.namespace, holder=served.holder, release=self._leases.release)
            await self._events.write(
                kind, manifest_of(kind, key, primary), reason=said.reason, message=said.message, warning=True
            )
        return True

    def ours(self, name: str) -> bool:
        """Whether an object of that name (namespace/name) is in a namespace that we watch, and no other
        release serves. From any thread.
        """
        namespace = name.partition("/")[0]
        if None not in self._watched and namespace not in self._watched:
            return False
        return not self._leases.others(namespace)

    def advice(self, namespace: str) -> list[Trouble]:
        """What the objects of a namespace that is ours have to say about it."""
        served: Served | None = self._leases.known(namespace)
        if served is None or not served.ours:
            return []
        said = [served.trouble] if served.trouble is not None else []
        if served.rival:
            said.append(self._watched_by_other(namespace, holder=served.holder, release=served.rival))
        return said

    def _watched_by_other(self, namespace: str, *, holder: str, release: str) -> Trouble:
        return trouble(reasons.WATCHED_BY_OTHER, namespace=namespace, holder=holder, release=release)
