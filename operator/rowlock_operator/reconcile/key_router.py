"""From what changed to the keys that are looked at."""

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.reconcile.key_queue import KeyQueue
from rowlock_operator.reconcile.objects import PrimaryCache, key_of


class KeyRouter:
    """Adds keys to the queue. For one event loop."""

    def __init__(self, keys: KeyQueue[ObjectKey], objects: PrimaryCache) -> None:
        self._keys, self._objects = keys, objects

    def changed(self, key: ObjectKey) -> None:
        """An object of ours is new, changed or gone; a changed WorkQueue concerns its RowSources, too."""
        self._keys.add(key)
        if key.kind == WORK_QUEUES.plural:
            self.registered(key)

    def concerned(self, key: ObjectKey) -> None:
        """Something that concerns an object changed; it may be gone by now."""
        if self._objects.get(key) is not None:
            self._keys.add(key)

    def work_queue_concerned(self, name: str) -> None:
        """The same for the WorkQueue `namespace/name`."""
        self.concerned(key_of(WORK_QUEUES.plural, name))

    def registered(self, work_queue: ObjectKey) -> None:
        """What a WorkQueue's RowSources build on changed."""
        for source in self._objects.sources_of(work_queue):
            self.concerned(source)

    def namespace_changed(self, namespace: str) -> None:
        """It came into our hands, or left them."""
        for key in self._objects.keys():  # noqa: SIM118 - not a dict
            if key.namespace == namespace:
                self._keys.add(key)

    def everything(self) -> None:
        """Every object is looked at."""
        for key in self._objects.keys():  # noqa: SIM118 - not a dict
            self._keys.add(key)
