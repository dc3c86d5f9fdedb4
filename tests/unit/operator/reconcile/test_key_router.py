"""What changed becomes keys, for as long as somebody leads."""

import asyncio
import contextlib

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import Manifest, ObjectKey
from rowlock_operator.intake.primaries import Primaries, sighting
from rowlock_operator.observed.pods import OwnedPod
from rowlock_operator.reconcile.changes import Changes
from rowlock_operator.reconcile.key_queue import KeyQueue
from rowlock_operator.reconcile.key_router import KeyRouter

QUEUE, OTHER = (ObjectKey(WORK_QUEUES.plural, "shop", name) for name in ("orders", "mails"))
SOURCE = ObjectKey(ROW_SOURCES.plural, "shop", "orders")
ELSEWHERE = ObjectKey(WORK_QUEUES.plural, "lab", "probes")


def known() -> Primaries:
    primaries = Primaries(on_news=lambda _key: None)
    for number, (key, kind) in enumerate(
        ((QUEUE, WORK_QUEUES), (OTHER, WORK_QUEUES), (SOURCE, ROW_SOURCES), (ELSEWHERE, WORK_QUEUES))
    ):
        made: Manifest = {
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": str(number),
                "resourceVersion": str(number + 1),
            },
            "spec": {"workQueueRef": {"name": "orders"}} if kind is ROW_SOURCES else {},
        }
        primaries.observe(sighting(kind, "ADDED", made))
    return primaries


def looked_at(act: str, *arguments: str | ObjectKey) -> set[ObjectKey]:
    """The keys that a router adds for one call."""

    async def scenario() -> set[ObjectKey]:
        keys, looks = KeyQueue[ObjectKey](), set[ObjectKey]()
        getattr(KeyRouter(keys, known()), act)(*arguments)

        async def look(key: ObjectKey) -> None:
            looks.add(key)

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(keys.run(look), 0.05)
        keys.close()
        return looks

    return asyncio.run(scenario())


def test_a_changed_work_queue_concerns_its_sources_and_no_other_queue() -> None:
    assert looked_at("changed", QUEUE) == {QUEUE, SOURCE}
    assert looked_at("changed", OTHER) == {OTHER}


def test_an_object_that_is_gone_is_looked_at_once_more_but_not_for_its_children() -> None:
    gone = ObjectKey(WORK_QUEUES.plural, "shop", "gone")
    assert looked_at("changed", gone) == {gone}
    assert looked_at("concerned", gone) == set()
    assert looked_at("work_queue_concerned", "shop/gone") == set()
    assert looked_at("work_queue_concerned", "shop/orders") == {QUEUE}


def test_a_namespace_that_changes_hands_has_all_its_objects_looked_at_and_no_others() -> None:
    assert looked_at("namespace_changed", "shop") == {QUEUE, OTHER, SOURCE}
    assert looked_at("everything") == {QUEUE, OTHER, SOURCE, ELSEWHERE}


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def object_changed(self, key: ObjectKey) -> None:
        self.heard.append(key)

    def child_changed(self, namespace: str, work_queue: str) -> None:
        self.heard.append((namespace, work_queue))

    def run_changed(self) -> None:
        self.heard.append("run")

    def pod_changed(self, key: ObjectKey, pod: OwnedPod | None) -> None:
        self.heard.append((key, pod))


def test_changes_are_heard_within_a_term_and_by_nobody_outside_of_it() -> None:
    changes, ear = Changes(), Ear()

    def tell() -> None:
        changes.object_changed(QUEUE)
        changes.child_changed("shop", "orders")
        changes.run_changed()
        changes.pod_changed(QUEUE, None)

    tell()
    with changes.heard_by(ear):
        assert ear.heard == []
        tell()
    tell()
    assert ear.heard == [QUEUE, ("shop", "orders"), "run", (QUEUE, None)]
