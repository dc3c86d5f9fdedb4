"""Whether a look may act in a namespace at all, and what is said where two releases watch it.

The one that serves it says so in the conditions, since it alone writes statuses there; the other one says it
in an Event of each object.
"""

from collections.abc import Callable, Iterator

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import BY_PLURAL
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.namespace_leases import NamespaceLeases, Served
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.reconcile.reporter import PrimaryCache, manifest_of


class ServedNamespaces:
    """`keys()` are those of all objects that are watched."""

    def __init__(
        self,
        leases: NamespaceLeases,
        cache: PrimaryCache,
        events: EventWriter,
        keys: Callable[[], Iterator[ObjectKey]],
    ) -> None:
        self._leases, self._cache, self._events, self._keys = leases, cache, events, keys
        self._told: dict[str, str] = {}  # uid -> the release that it was told of

    async def run(self) -> None:
        """Keeps the Leases of the namespaces in which there is something to serve, until cancelled."""
        await self._leases.run(lambda: {key.namespace for key in self._keys()})

    async def by_other(self, key: ObjectKey) -> bool:
        """Whether another release serves this object, which is told then. Raises RetryLater where nobody can
        say."""
        primary = self._cache.get(key)
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
