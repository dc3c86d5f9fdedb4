"""What the watches see, told to whoever leads; outside a term nobody listens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.observed.pods import OwnedPod


class Listener(Protocol):
    """Hears of every change, on the event loop."""

    def object_changed(self, key: ObjectKey) -> None:
        """One of the users' objects is new, changed or gone."""

    def child_changed(self, namespace: str, work_queue: str) -> None:
        """Something that was made for a WorkQueue changed."""

    def run_changed(self) -> None:
        """A kube job or a pod of one changed."""

    def pod_changed(self, key: ObjectKey, pod: OwnedPod | None) -> None:
        """A pod changed; None: it is gone."""


class Changes:
    """Made before the watches, which tell it, and before who listens."""

    def __init__(self) -> None:
        self._listener: Listener | None = None

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Within it this one listens."""
        self._listener = listener
        try:
            yield
        finally:
            self._listener = None

    def object_changed(self, key: ObjectKey) -> None:
        if self._listener is not None:
            self._listener.object_changed(key)

    def child_changed(self, namespace: str, work_queue: str) -> None:
        if self._listener is not None:
            self._listener.child_changed(namespace, work_queue)

    def run_changed(self) -> None:
        if self._listener is not None:
            self._listener.run_changed()

    def pod_changed(self, key: ObjectKey, pod: OwnedPod | None) -> None:
        if self._listener is not None:
            self._listener.pod_changed(key, pod)
