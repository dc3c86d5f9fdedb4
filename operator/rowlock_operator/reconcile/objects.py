"""The users' objects as the controllers read them: out of the watch's cache, as far as we keep them."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.manifest import Kind, Manifest, ObjectKey
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.errors import RowlockError


class Primary(Protocol):
    """What a look needs of the watched object."""

    @property
    def uid(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def deletion_timestamp(self) -> str | None: ...
    @property
    def spec(self) -> dict[str, Any]: ...
    @property
    def status(self) -> dict[str, Any]: ...


class PrimaryCache(Protocol):
    """The watch's cache."""

    def __len__(self) -> int: ...
    def get(self, key: ObjectKey) -> Primary | None: ...
    def keys(self, plural: str | None = None) -> Iterator[ObjectKey]: ...
    def sources_of(self, work_queue: ObjectKey) -> tuple[ObjectKey, ...]: ...
    def own_write(self, kind: Kind, key: ObjectKey) -> AbstractContextManager[Callable[[Manifest], None]]: ...


def manifest_of(kind: Kind, key: ObjectKey, primary: Primary) -> Manifest:
    """The object as far as we keep it."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "uid": primary.uid,
            "generation": primary.generation,
        },
        "spec": primary.spec,
        "status": primary.status,
    }


def key_of(plural: str, name: str) -> ObjectKey:
    """The key of an object that the ledger calls `namespace/name`."""
    namespace, _, short = name.partition("/")
    return ObjectKey(plural, namespace, short)


class WorkQueueSpecs:
    """WorkQueues as their users want them now, by `namespace/name`."""

    def __init__(self, objects: PrimaryCache) -> None:
        self._objects = objects

    def get(self, name: str) -> WorkQueue | None:
        """None where it is gone or unreadable."""
        key = key_of(WORK_QUEUES.plural, name)
        primary = self._objects.get(key)
        if primary is None or primary.deletion_timestamp:
            return None
        with contextlib.suppress(RowlockError):
            return WorkQueue.parse(manifest_of(WORK_QUEUES, key, primary))
        return None

    def holds_leases(self, name: str) -> bool:
        """Whether its pods run our own runner, not contract Exit."""
        queue = self.get(name)
        return queue is None or not queue.spec.is_exit
