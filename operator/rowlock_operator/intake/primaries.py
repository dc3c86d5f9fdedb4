"""What we last saw of the users' objects, and whether something seen now is news."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rowlock_operator.api.manifest import Kind, Manifest, ObjectKey
from rowlock_operator.intake.packing import pack, unpack

BURIED = 5000  # uids; more deletions than happen during one list


@dataclass(frozen=True, slots=True)
class Primary:
    """One of the users' objects. Spec and status are kept packed: a hundredth of the memory of dicts, and
    compared at once.
    """

    uid: str
    generation: int
    resource_version: str
    deletion_timestamp: str | None
    packed_spec: bytes
    packed_status: bytes
    work_queue: str | None = None
    """The WorkQueue that a RowSource names."""

    @property
    def spec(self) -> dict[str, Any]:
        """A fresh copy of the spec."""
        value: dict[str, Any] = unpack(self.packed_spec)
        return value

    @property
    def status(self) -> dict[str, Any]:
        """A fresh copy of the status as we last saw or wrote it."""
        value: dict[str, Any] = unpack(self.packed_status)
        return value

    def asks_the_same(self, other: "Primary") -> bool:
        """Whether the user's part is equal: the same object, spec and wish to be deleted."""
        mine = (self.uid, self.generation, self.deletion_timestamp, self.packed_spec)
        return mine == (other.uid, other.generation, other.deletion_timestamp, other.packed_spec)

    def says_the_same(self, other: "Primary") -> bool:
        """Whether nothing that a reconcile reads differs."""
        return self.asks_the_same(other) and self.packed_status == other.packed_status


@dataclass(frozen=True, slots=True)
class Seen:
    """One sighting of an object; `gone` where it was its deletion."""

    key: ObjectKey
    primary: Primary
    gone: bool


def primary_of(manifest: Manifest) -> Primary:
    """Keeps what a reconcile reads; managed fields, labels and annotations are dropped."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    queue = (spec.get("workQueueRef") or {}).get("name")
    return Primary(
        uid=metadata["uid"],
        generation=int(metadata.get("generation", 0)),
        resource_version=metadata["resourceVersion"],
        deletion_timestamp=metadata.get("deletionTimestamp"),
        packed_spec=pack(spec),
        packed_status=pack(manifest.get("status") or {}),
        work_queue=None if queue is None else sys.intern(queue),
    )


def sighting(kind: Kind, event_type: str | None, manifest: Manifest) -> Seen:
    """A watch event as a value; `event_type` None is kopf's word for an object of the first list."""
    return Seen(kind.key(manifest), primary_of(manifest), event_type == "DELETED")


@dataclass(frozen=True)
class Before:
    """What was known before a list was asked for. A list shows everything that was written before it was
    asked for, so one that shows less is of another history: etcd was restored from a backup, and versions
    count from there again.
    """

    known: dict[ObjectKey, Primary]
    highest: int
    burials: int
    buried: Mapping[str, int]

    def contradicts_list(self, version: str) -> bool:
        """Whether the list of this version is older than what was seen before it."""
        return _number(version) is not None and int(version) < self.highest

    def contradicts_item(self, key: ObjectKey, uid: str, version: str) -> bool:
        """Whether an object is listed as it was before what we saw of it, or though we saw it deleted."""
        if self.buried.get(uid, self.burials) < self.burials:
            return True
        known, number = self.known.get(key), _number(version)
        if known is None or known.uid != uid or number is None:
            return False
        return number < (_number(known.resource_version) or 0)


class Primaries:
    """The cache, by key. `on_news(key)` is called for what is new, changed or gone, `on_contradiction()`
    where the reply to a write shows that the server has another history than the one we know. For one event
    loop.
    """

    def __init__(
        self, on_news: Callable[[ObjectKey], None], on_contradiction: Callable[[], None] = lambda: None
    ) -> None:
        self._on_news, self.on_contradiction = on_news, on_contradiction
        self._known: dict[ObjectKey, Primary] = {}
        self._highest: dict[str, int] = {}  # by kind: versions only rise, until etcd is restored
        # uids seen deleted, in order, and the how manieth it was; a uid never comes back
        self._buried: dict[str, int] = {}
        self._burials = 0
        # keys we are writing, and what was seen of them meanwhile
        self._held: dict[ObjectKey, Primary | None] = {}
        # (namespace, WorkQueue) -> RowSources that name it
        self._sources: defaultdict[tuple[str, str], set[ObjectKey]] = defaultdict(set)

    def get(self, key: ObjectKey) -> Primary | None:
        return self._known.get(key)

    def __len__(self) -> int:
        return len(self._known)

    def keys(self, plural: str | None = None) -> Iterator[ObjectKey]:
        """All keys, or those of one kind."""
        return (key for key in tuple(self._known) if plural is None or key.kind == plural)

    def sources_of(self, work_queue: ObjectKey) -> tuple[ObjectKey, ...]:
        """The RowSources that name a WorkQueue: without this index every changed queue would have all sources
        looked at.
        """
        return tuple(self._sources.get((work_queue.namespace, work_queue.name), ()))

    def before_list(self, plural: str) -> Before:
        """To be taken before a list of this kind is asked for."""
        known = {key: self._known[key] for key in self.keys(plural)}
        return Before(known, self._highest.get(plural, 0), self._burials, self._buried)

    def listed(self, plural: str, version: str) -> None:
        """A list of this version was taken in."""
        self._highest[plural] = max(self._highest.get(plural, 0), _number(version) or 0)

    def begin_history(self) -> None:
        """The server has another history: what we know may be out of date whatever its version, and what was
        deleted may be there again.
        """
        self._highest.clear()
        self._buried.clear()
        self._known = {key: replace(known, resource_version="") for key, known in self._known.items()}

    def observe(self, seen: Seen) -> bool:
        """Takes a sighting in; True (and told) where it is news. The echo of an own write is none."""
        known, primary = self._known.get(seen.key), seen.primary
        self.listed(seen.key.kind, primary.resource_version)
        if known is not None and known.uid == primary.uid and _older(primary, known):
            return False  # a watch behind what a reply or the resync has shown us
        if seen.gone:
            return self.drop(seen.key, uid=primary.uid)
        if primary.uid in self._buried:
            return False  # a page of a list that is older than the deletion
        self._remember(seen.key, primary)
        if known is not None and known.says_the_same(primary):
            return False
        if seen.key in self._held and known is not None and known.asks_the_same(primary):
            self._held[seen.key] = primary
            return False
        self._on_news(seen.key)
        return True

    @contextmanager
    def own_write(self, kind: Kind, key: ObjectKey) -> Iterator[Callable[[Manifest], None]]:
        """Around one write of a status: `with primaries.own_write(kind, key) as took: took(await
        client.patch_status(...))`.

        The echo often comes before the reply (measured on loopback), so a change of status seen during the
        write is held back until the reply tells whether it was ours.
        """
        reply: list[Primary] = []
        before = self._known.get(key)
        self._held[key] = None
        try:
            yield lambda manifest: reply.append(primary_of(manifest))
        finally:
            held = self._held.pop(key)
            known = self._known.get(key)
            same = bool(reply) and known is not None and known.uid == reply[0].uid
            # Written after what was known before, and yet of a lower version: no order of events explains
            # that.
            contradicts = (
                same and before is not None and before.uid == reply[0].uid and _older(reply[0], before)
            )
            if same and known is not None and (contradicts or not _older(reply[0], known)):
                self._remember(key, reply[0])
                if contradicts:
                    self.on_contradiction()
                else:
                    self.listed(key.kind, reply[0].resource_version)
                if not known.asks_the_same(reply[0]):
                    # The reply overtook the watch with a change of the user's: its event will look like ours.
                    self._on_news(key)
            elif held is not None and not (reply and held.says_the_same(reply[0])):
                self._on_news(key)  # somebody else's status, or a write of ours whose reply never came

    def drop(self, key: ObjectKey, *, uid: str) -> bool:
        """Forgets the object with that uid, and tells; False where it was not known (or the name belongs to
        another object by now).
        """
        self._bury(uid)
        known = self._known.get(key)
        if known is None or known.uid != uid:
            return False
        self._index(key, known, None)
        del self._known[key]
        self._on_news(key)
        return True

    def _bury(self, uid: str) -> None:
        self._buried[uid] = self._burials
        self._burials += 1
        if len(self._buried) > BURIED:
            del self._buried[next(iter(self._buried))]

    def _remember(self, key: ObjectKey, primary: Primary) -> None:
        self._index(key, self._known.get(key), primary)
        self._known[key] = primary

    def _index(self, key: ObjectKey, before: Primary | None, after: Primary | None) -> None:
        old = before.work_queue if before is not None else None
        new = after.work_queue if after is not None else None
        if old == new:
            return
        if old is not None:
            named = self._sources[key.namespace, old]
            named.discard(key)
            if not named:
                del self._sources[key.namespace, old]
        if new is not None:
            self._sources[key.namespace, new].add(key)


def _older(one: Primary, other: Primary) -> bool:
    # Resource versions of one resource are comparable as numbers (promised since Kubernetes 1.35, true ever
    # since).
    mine, its = _number(one.resource_version), _number(other.resource_version)
    return mine is not None and its is not None and mine < its


def _number(version: str) -> int | None:
    return int(version) if version.isdecimal() else None
