"""What we last saw of the users' objects, and whether something seen now is news."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rowlock_operator.cluster.kinds import Kind, Manifest, ObjectKey


@dataclass(frozen=True, slots=True)
class Primary:
    """One WorkQueue or RowSource. Spec and status are kept as JSON text: a tenth of the memory of dicts, and compared at once."""

    uid: str
    generation: int
    resource_version: str
    deletion_timestamp: str | None
    spec_json: bytes
    status_json: bytes

    @property
    def spec(self) -> dict[str, Any]:
        """A fresh copy of the spec."""
        value: dict[str, Any] = json.loads(self.spec_json)
        return value

    @property
    def status(self) -> dict[str, Any]:
        """A fresh copy of the status as we last saw or wrote it."""
        value: dict[str, Any] = json.loads(self.status_json)
        return value

    def asks_the_same(self, other: "Primary") -> bool:
        """Whether the user's part is equal: the same object, spec and wish to be deleted."""
        mine = (self.uid, self.generation, self.deletion_timestamp, self.spec_json)
        return mine == (other.uid, other.generation, other.deletion_timestamp, other.spec_json)

    def says_the_same(self, other: "Primary") -> bool:
        """Whether nothing that a reconcile reads differs."""
        return self.asks_the_same(other) and self.status_json == other.status_json


@dataclass(frozen=True, slots=True)
class Seen:
    """One sighting of an object; `gone` where it was its deletion."""

    key: ObjectKey
    primary: Primary
    gone: bool


def primary_of(manifest: Manifest) -> Primary:
    """Keeps what a reconcile reads; managed fields, labels and annotations are dropped."""
    metadata = manifest["metadata"]
    return Primary(
        uid=metadata["uid"],
        generation=int(metadata.get("generation", 0)),
        resource_version=metadata["resourceVersion"],
        deletion_timestamp=metadata.get("deletionTimestamp"),
        spec_json=_packed(manifest.get("spec") or {}),
        status_json=_packed(manifest.get("status") or {}),
    )


def sighting(kind: Kind, event_type: str | None, manifest: Manifest) -> Seen:
    """A watch event as a value; `event_type` None is kopf's word for an object of the first list."""
    return Seen(kind.key(manifest), primary_of(manifest), event_type == "DELETED")


class Primaries:
    """The cache, by key. `on_news(key)` is called for what is new, changed or gone. For one event loop."""

    def __init__(self, on_news: Callable[[ObjectKey], None]) -> None:
        self._on_news = on_news
        self._known: dict[ObjectKey, Primary] = {}
        self._held: dict[ObjectKey, Primary | None] = {}  # keys we are writing, and what was seen of them meanwhile

    def get(self, key: ObjectKey) -> Primary | None:
        return self._known.get(key)

    def __len__(self) -> int:
        return len(self._known)

    def keys(self, plural: str | None = None) -> Iterator[ObjectKey]:
        """All keys, or those of one kind."""
        return (key for key in tuple(self._known) if plural is None or key.kind == plural)

    def observe(self, seen: Seen) -> bool:
        """Takes a sighting in; True (and told) where it is news. The echo of an own write is none."""
        known, primary = self._known.get(seen.key), seen.primary
        if known is not None and known.uid == primary.uid and _older(primary, known):
            return False  # a watch behind what a reply or the resync has shown us
        if seen.gone:
            return self.drop(seen.key, uid=primary.uid)
        self._known[seen.key] = primary
        if known is not None and known.says_the_same(primary):
            return False
        if seen.key in self._held and known is not None and known.asks_the_same(primary):
            self._held[seen.key] = primary
            return False
        self._on_news(seen.key)
        return True

    @contextmanager
    def own_write(self, kind: Kind, key: ObjectKey) -> Iterator[Callable[[Manifest], None]]:
        """Around one write of a status: `with primaries.own_write(kind, key) as took: took(await client.patch_status(...))`.

        The echo often comes before the reply (measured on loopback), so a change of status seen during the write is held back
        until the reply tells whether it was ours."""
        reply: list[Primary] = []
        self._held[key] = None
        try:
            yield lambda manifest: reply.append(primary_of(manifest))
        finally:
            held = self._held.pop(key)
            known = self._known.get(key)
            if reply and known is not None and known.uid == reply[0].uid and not _older(reply[0], known):
                self._known[key] = reply[0]
                if not known.asks_the_same(reply[0]):
                    self._on_news(key)  # the reply overtook the watch with a change of the user's: its event will look like our echo
            elif held is not None and not (reply and held.says_the_same(reply[0])):
                self._on_news(key)  # somebody else's status, or a write of ours whose reply never came

    def drop(self, key: ObjectKey, *, uid: str) -> bool:
        """Forgets the object with that uid, and tells; False where it was not known (or the name belongs to another object by now)."""
        known = self._known.get(key)
        if known is None or known.uid != uid:
            return False
        del self._known[key]
        self._on_news(key)
        return True


def _packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _older(one: Primary, other: Primary) -> bool:
    # Resource versions of one resource are comparable as numbers (promised since Kubernetes 1.35, true ever since).
    try:
        return int(one.resource_version) < int(other.resource_version)
    except ValueError:
        return False
