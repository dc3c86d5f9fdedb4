"""What is news about a user's object."""

import asyncio
from typing import Any

import pytest

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import Manifest, ObjectKey
from rowlock_operator.intake.kopf_settings import (
    InfiniteJitteredBackoff,
    NoMemories,
    NullDiffBase,
    watch_only_settings,
)
from rowlock_operator.intake.packing import pack, unpack
from rowlock_operator.intake.primaries import Primaries, sighting

KEY = ObjectKey("workqueues", "shop", "orders")


def seen_object(
    version: int,
    *,
    uid: str = "u1",
    generation: int = 1,
    spec: Any = None,
    status: Any = None,
    **metadata: Any,
) -> Manifest:
    given = {
        "namespace": "shop",
        "name": "orders",
        "uid": uid,
        "generation": generation,
        "resourceVersion": str(version),
        **metadata,
    }
    return {"metadata": given, "spec": spec or {"a": 1}, "status": status or {}}


class Cache:
    def __init__(self) -> None:
        self.news: list[ObjectKey] = []
        self.primaries = Primaries(self.news.append)

    def see(self, manifest: Manifest, event_type: str | None = "MODIFIED") -> bool:
        return self.primaries.observe(sighting(WORK_QUEUES, event_type, manifest))


def test_the_first_sighting_is_news_and_the_same_again_is_not() -> None:
    cache = Cache()
    assert cache.see(seen_object(5), None)
    assert not cache.see(seen_object(5), None)
    assert not cache.see(seen_object(6, annotations={"x": "y"}))  # a reconcile does not read annotations
    assert cache.news == [KEY]
    primary = cache.primaries.get(KEY)
    assert primary is not None
    assert (primary.resource_version, primary.spec, primary.status) == ("6", {"a": 1}, {})


@pytest.mark.parametrize(
    "changed",
    [
        seen_object(6, generation=2, spec={"a": 2}),
        seen_object(6, status={"backlog": 1}),
        seen_object(6, deletionTimestamp="2026-01-01T00:00:00Z"),
        seen_object(6, uid="u2"),
    ],
    ids=["spec", "somebody's status", "deletion asked for", "another object of that name"],
)
def test_what_a_reconcile_reads_is_news(changed: Manifest) -> None:
    cache = Cache()
    cache.see(seen_object(5))
    assert cache.see(changed)


def test_an_older_sighting_of_the_same_object_changes_nothing() -> None:
    cache = Cache()
    cache.see(seen_object(10, spec={"a": 2}, generation=2))
    assert not cache.see(seen_object(9))
    assert not cache.see(seen_object(9), "DELETED")
    primary = cache.primaries.get(KEY)
    assert primary is not None
    assert primary.spec == {"a": 2}


def test_a_deletion_is_news_once_and_not_of_the_object_that_took_the_name() -> None:
    cache = Cache()
    cache.see(seen_object(5))
    cache.see(seen_object(9, uid="u2"))
    assert not cache.see(seen_object(8), "DELETED")  # the old one's
    assert cache.see(seen_object(10, uid="u2"), "DELETED")
    assert not cache.see(seen_object(10, uid="u2"), "DELETED")
    assert len(cache.primaries) == 0


@pytest.mark.parametrize("echo", ["before the reply", "after the reply"])
def test_the_echo_of_an_own_status_write_is_no_news(echo: str) -> None:
    cache = Cache()
    cache.see(seen_object(5))
    cache.news.clear()
    ours = seen_object(6, status={"backlog": 1})
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        if echo == "before the reply":
            cache.see(ours)
        took(ours)
    if echo == "after the reply":
        cache.see(ours)
    assert cache.news == []
    primary = cache.primaries.get(KEY)
    assert primary is not None
    assert primary.status == {"backlog": 1}


def test_without_the_guard_the_echo_would_be_news() -> None:
    """The negative twin."""
    cache = Cache()
    cache.see(seen_object(5))
    assert cache.see(seen_object(6, status={"backlog": 1}))


def test_a_spec_change_during_an_own_write_is_news() -> None:
    cache = Cache()
    cache.see(seen_object(5))
    cache.news.clear()
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        cache.see(seen_object(6, generation=2, spec={"a": 2}))
        took(seen_object(7, generation=2, spec={"a": 2}, status={"backlog": 1}))
    assert cache.news == [KEY]


def test_a_spec_change_that_only_the_reply_shows_is_news() -> None:
    """The reply overtakes the watch: without telling now, the event that follows would look like our echo."""
    cache = Cache()
    cache.see(seen_object(5))
    cache.news.clear()
    changed = seen_object(7, generation=2, spec={"a": 2}, status={"backlog": 1})
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        took(changed)
    cache.see(seen_object(6, generation=2, spec={"a": 2}))
    cache.see(changed)
    assert cache.news == [KEY]


def test_somebody_elses_status_after_ours_is_news_also_when_it_comes_before_our_reply() -> None:
    cache = Cache()
    cache.see(seen_object(5))
    cache.news.clear()
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        cache.see(seen_object(6, status={"backlog": 1}))
        cache.see(seen_object(7, status={"backlog": 99}))
        took(seen_object(6, status={"backlog": 1}))
    assert cache.news == [KEY]


def test_a_write_whose_reply_never_came_leaves_its_echo_as_news() -> None:
    cache = Cache()
    cache.see(seen_object(5))
    cache.news.clear()
    with pytest.raises(TimeoutError), cache.primaries.own_write(WORK_QUEUES, KEY):
        cache.see(seen_object(6, status={"backlog": 1}))
        raise TimeoutError
    assert cache.news == [KEY]


def test_kopf_is_configured_as_a_watch_that_writes_nothing_and_never_gives_up() -> None:
    settings = watch_only_settings()
    assert isinstance(settings.persistence.diffbase_storage, NullDiffBase)
    assert settings.persistence.diffbase_storage.fetch(body=None) == {}  # type: ignore[arg-type]
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.watching.initial_streaming is False
    assert settings.queueing.worker_limit is None
    assert isinstance(settings.watching.server_timeout, int)  # the API refuses 612.5


def test_the_backoff_is_endless_bounded_and_begins_anew_for_every_request() -> None:
    backoff = InfiniteJitteredBackoff(0.5, cap=30)
    for _ in range(2):
        waits = [wait for wait, _ in zip(backoff, range(1000), strict=False)]
        assert len(waits) == 1000
        assert waits[0] < 0.7
        assert all(wait <= 30 * 1.25 for wait in waits)
        assert min(waits[10:]) >= 30 * 0.75


def test_a_list_older_than_a_deletion_does_not_bring_the_object_back() -> None:
    """The pages of a long list are all as old as its first one; the watch may be ahead of them."""
    cache = Cache()
    cache.see(seen_object(5), "DELETED")
    assert not cache.see(seen_object(4), None)
    assert cache.primaries.get(KEY) is None
    assert cache.see(seen_object(8, uid="u2"))  # another object of that name lives


def test_the_sources_of_a_work_queue_are_found_without_reading_all() -> None:
    cache = Cache()

    def source(name: str, queue: str, version: int, event_type: str = "MODIFIED") -> None:
        manifest = seen_object(version, uid=name, spec={"workQueueRef": {"name": queue}})
        manifest["metadata"]["name"] = name
        cache.primaries.observe(sighting(ROW_SOURCES, event_type, manifest))

    source("a", "orders", 1)
    source("b", "orders", 2)
    source("c", "other", 3)
    named = [ObjectKey("rowsources", "shop", name) for name in "abc"]
    assert set(cache.primaries.sources_of(KEY)) == set(named[:2])
    source("a", "other", 4)
    source("b", "orders", 5, "DELETED")
    assert cache.primaries.sources_of(KEY) == ()
    assert set(cache.primaries.sources_of(ObjectKey("workqueues", "shop", "other"))) == {named[0], named[2]}
    assert cache.primaries.sources_of(ObjectKey("workqueues", "elsewhere", "other")) == ()


def test_what_is_packed_comes_back_whole_and_equal_values_are_equal_bytes() -> None:
    message = "Nothing waits; the first run starts a worker. ä\u0000 " * 50
    value = {"b": [1, 2.5, None, True], "a": {"message": message, "empty": {}}}
    assert unpack(pack(value)) == value
    assert pack(value) == pack(dict(reversed(value.items())))
    assert pack(value) != pack({**value, "c": 1})


def test_kopf_remembers_nothing_of_an_object() -> None:
    """Its memories of ten thousand objects were 20 MB."""

    async def recalled() -> NoMemories:
        memories = NoMemories()
        await memories.recall(seen_object(1), noticed_by_listing=True)  # type: ignore[arg-type]
        return memories

    assert list(asyncio.run(recalled()).iter_all_memories()) == []


def contradicts(cache: Cache, list_version: int, *items: Manifest) -> bool:
    """Whether a list that is asked for now, with these items, is of another history."""
    before = cache.primaries.before_list(KEY.kind)
    of_items = (
        before.contradicts_item(KEY, item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for item in items
    )
    return before.contradicts_list(str(list_version)) or any(of_items)


def test_a_list_of_a_lower_version_is_of_another_history() -> None:
    cache = Cache()
    cache.see(seen_object(500))
    cache.primaries.listed(KEY.kind, "600")
    assert not contradicts(cache, 600, seen_object(500))
    assert contradicts(cache, 599, seen_object(500))
    assert not contradicts(cache, 700, seen_object(650))
    assert not Cache().primaries.before_list("workqueues").contradicts_list("not a number")


def test_versions_raised_by_the_restore_do_not_hide_that_an_object_has_gone_back() -> None:
    """etcdutl's --bump-revision: lists are of a far higher version, objects of the one they had."""
    cache = Cache()
    cache.see(seen_object(500))
    assert contradicts(cache, 1_000_000_400, seen_object(400))


def test_an_object_that_was_seen_deleted_and_is_listed_later_is_of_another_history() -> None:
    cache = Cache()
    cache.see(seen_object(500))
    before = cache.primaries.before_list(KEY.kind)
    cache.see(seen_object(501), "DELETED")
    assert not before.contradicts_item(KEY, "u1", "500"), "a list that was asked for before the deletion"
    assert contradicts(cache, 600, seen_object(500))
    assert not contradicts(cache, 600, seen_object(600, uid="u2"))


def test_in_another_history_edits_of_lower_versions_are_obeyed_and_what_was_deleted_may_live() -> None:
    cache = Cache()
    cache.see(seen_object(500, spec={"a": 3}, generation=3))
    edit = seen_object(410, spec={"a": 2, "suspend": True}, generation=2)
    assert not cache.see(edit), "the danger: an edit of a lower version is taken for an old one"
    cache.primaries.begin_history()
    assert cache.see(edit)
    assert not cache.see(seen_object(409, spec={"a": 2}, generation=2)), "versions are believed again"
    assert contradicts(cache, 409)
    assert not contradicts(cache, 411, edit)
    cache.see(seen_object(412), "DELETED")
    cache.primaries.begin_history()
    assert cache.see(seen_object(405))


def test_the_same_version_with_another_content_is_seen_in_another_history() -> None:
    cache = Cache()
    cache.see(seen_object(500, spec={"a": 3}, generation=3))
    cache.primaries.begin_history()
    assert cache.see(seen_object(500, spec={"a": 4}, generation=3))


def test_a_reply_of_a_lower_version_than_what_was_known_before_the_write_is_taken_in_and_told() -> None:
    """Else the status would differ from what is known for ever, and be written with every look."""
    told: list[str] = []
    cache = Cache()
    cache.primaries.on_contradiction = lambda: told.append("history")
    cache.see(seen_object(500))
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        took(seen_object(420, status={"backlog": 1}))
    primary = cache.primaries.get(KEY)
    assert primary is not None
    assert primary.status == {"backlog": 1}
    assert told == ["history"]
    with cache.primaries.own_write(WORK_QUEUES, KEY) as took:
        cache.see(seen_object(600, status={"backlog": 3}))
        took(seen_object(599, status={"backlog": 2}))
    assert told == ["history"], "an event that overtook the reply is no contradiction"
