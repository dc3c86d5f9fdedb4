"""kopf as a watch, on a real API server that is killed and frozen."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import Manifest, ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.intake import kopf_settings
from rowlock_operator.intake.resync import Resync
from rowlock_operator.intake.watcher import PrimaryWatcher, WatchSettings
from tests.integration.cluster_room.conftest import until
from tests.services.api_proxy import api_proxy
from tests.services.kube import CRDS, KubeControlPlane, install_definitions

pytestmark = pytest.mark.integration
KINDS = (WORK_QUEUES, ROW_SOURCES)


def work_queue(namespace: str, name: str, soft_seconds: int = 300) -> Manifest:
    spec = {
        "mode": "Workers",
        "imports": ["a.b"],
        "tasks": ["t"],
        "limits": {"softSeconds": soft_seconds, "hardSeconds": 600},
    }
    return {
        "apiVersion": WORK_QUEUES.api_version,
        "kind": WORK_QUEUES.kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


@contextlib.asynccontextmanager
async def watching(
    credentials: Credentials, namespace: str | None, **options: Any
) -> AsyncIterator[tuple[KubeClient, PrimaryWatcher, list[ObjectKey]]]:
    added: list[ObjectKey] = []
    async with KubeClient(credentials) as client:
        watcher = PrimaryWatcher(client, kinds=KINDS, namespaces=(namespace,), add=added.append, **options)
        task = asyncio.create_task(watcher.run())
        try:
            await asyncio.wait_for(watcher.synced(), 20)
            yield client, watcher, added
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=20)
            assert task.cancelled()


def key(namespace: str, name: str) -> ObjectKey:
    return ObjectKey("workqueues", namespace, name)


def soft_seconds(watcher: PrimaryWatcher, of: ObjectKey) -> int | None:
    primary = watcher.primaries.get(of)
    return primary.spec["limits"]["softSeconds"] if primary else None


async def kopf_watches(client: KubeClient, watcher: PrimaryWatcher, namespace: str) -> None:
    """Returns when an event came by the watch, not by the first list."""
    probe = key(namespace, "is-kopf-there")
    for _ in range(100):
        await client.create(WORK_QUEUES, work_queue(*probe[1:]))
        with contextlib.suppress(AssertionError):
            await until(lambda: watcher.primaries.get(probe), "the watch brings a creation", 3)
            await client.delete(WORK_QUEUES, *probe[1:])
            await until(lambda: not watcher.primaries.get(probe), "the watch brings a deletion")
            return
        await client.delete(WORK_QUEUES, *probe[1:])
    raise AssertionError("kopf never watched")


def test_intake_sees_create_update_and_delete_and_writes_nothing_to_the_users_object(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with watching(credentials, namespace) as (client, watcher, added):
            await kopf_watches(client, watcher, namespace)
            one = key(namespace, "one")
            created = await client.create(WORK_QUEUES, work_queue(namespace, "one"))
            await until(lambda: soft_seconds(watcher, one) == 300, "creation seen")
            updated = await client.merge_patch(
                WORK_QUEUES, namespace, "one", {"spec": {"limits": {"softSeconds": 200}}}
            )
            await until(lambda: soft_seconds(watcher, one) == 200, "update seen")
            now = await client.get(WORK_QUEUES, namespace, "one")
            assert now["metadata"]["resourceVersion"] == updated["metadata"]["resourceVersion"]
            assert "finalizers" not in now["metadata"]
            assert "annotations" not in now["metadata"]
            assert {field["manager"] for field in now["metadata"]["managedFields"]} == {"rowlock-operator"}
            assert now["metadata"]["uid"] == created["metadata"]["uid"]
            await client.delete(WORK_QUEUES, namespace, "one")
            await until(lambda: watcher.primaries.get(one) is None, "deletion seen")
            assert added.count(one) == 3

    asyncio.run(scenario())


def test_own_status_write_is_no_news_but_a_strangers_is(credentials: Credentials, namespace: str) -> None:
    async def scenario() -> None:
        async with watching(credentials, namespace) as (client, watcher, added):
            await kopf_watches(client, watcher, namespace)
            one, two = key(namespace, "one"), key(namespace, "two")
            await client.create(WORK_QUEUES, work_queue(namespace, "one"))
            await until(lambda: one in added, "creation seen")
            with watcher.primaries.own_write(WORK_QUEUES, one) as took:
                took(await client.patch_status(WORK_QUEUES, namespace, "one", {"backlog": 1}))
            # What is created after the status write comes after its echo on the same stream.
            await client.create(WORK_QUEUES, work_queue(namespace, "two"))
            await until(lambda: two in added, "second creation seen")
            assert added.count(one) == 1
            assert watcher.primaries.get(one).status == {"backlog": 1}
            await client.patch_status(WORK_QUEUES, namespace, "one", {"backlog": 2})
            await until(lambda: added.count(one) == 2, "a status that we did not write is news")

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def deleted_before_the_watch(credentials: Credentials, namespace: str) -> AsyncIterator[PrimaryWatcher]:
    """An object that the first list found and that is deleted before kopf looks; yields once kopf watches.
    Nothing is listed at intervals.
    """
    one = key(namespace, "one")
    async with api_proxy(credentials) as proxy, KubeClient(credentials) as direct:
        await direct.create(WORK_QUEUES, work_queue(namespace, "one"))
        # the question before kopf is started: are all kinds served
        proxy.holds = lambda request: request.query.get("limit") == "1"
        async with watching(proxy.credentials, namespace, resync_seconds=3600.0) as (client, watcher, _added):
            assert watcher.primaries.get(one)
            await direct.delete(WORK_QUEUES, namespace, "one")
            proxy.holds = lambda _request: False
            await kopf_watches(client, watcher, namespace)
            yield watcher


def test_what_was_deleted_before_the_watch_was_open_is_dropped_once_it_is(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with deleted_before_the_watch(credentials, namespace) as watcher:
            await until(
                lambda: watcher.primaries.get(key(namespace, "one")) is None, "the deletion is noticed"
            )

    asyncio.run(scenario())


def test_without_a_list_after_the_opening_it_stays_known(
    credentials: Credentials, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resync, "watch_opened", lambda *_: None)

    async def scenario() -> None:
        async with deleted_before_the_watch(credentials, namespace) as watcher:
            # events of later changes came, of this deletion none
            assert watcher.primaries.get(key(namespace, "one"))

    asyncio.run(scenario())


@pytest.mark.slow
def test_intake_recovers_when_the_api_server_was_killed_and_finds_what_was_deleted_meanwhile(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with watching(credentials, namespace, resync_seconds=3600.0) as (client, watcher, _added):
            await kopf_watches(client, watcher, namespace)
            one, two, three = (key(namespace, name) for name in ("one", "two", "three"))
            await client.create(WORK_QUEUES, work_queue(namespace, "one"))
            await client.create(WORK_QUEUES, work_queue(namespace, "two"))
            await until(lambda: len(watcher.primaries) == 2, "both seen")
            await asyncio.to_thread(plane.stop_api_server)
            await asyncio.to_thread(plane.start_api_server)
            async with KubeClient(credentials) as other:
                await other.delete(WORK_QUEUES, namespace, "one")
                await other.create(WORK_QUEUES, work_queue(namespace, "three"))
            await until(lambda: watcher.primaries.get(three), "what was created is seen", 60)
            await until(lambda: not watcher.primaries.get(one), "what was deleted is dropped", 60)
            assert watcher.primaries.get(two)
            await kopf_watches(client, watcher, namespace)

    asyncio.run(scenario())


@pytest.mark.slow
def test_liveness_fails_within_the_bound_when_the_watches_are_silently_dead(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    """The product's bounds, shortened in proportion: streams reopened after 3 s of silence instead of 70,
    dead after 8 s instead of 180.
    """

    def short(rng: random.Random | None = None) -> kopf.OperatorSettings:
        settings = kopf_settings.watch_only_settings(rng)
        settings.watching.inactivity_timeout = 3
        settings.networking.request_timeout = 3
        return settings

    bounds = WatchSettings(kopf=short, silent_after_seconds=8.0)

    async def scenario() -> None:
        async with watching(credentials, namespace, settings=bounds) as (client, watcher, _added):
            await kopf_watches(client, watcher, namespace)
            # Idle for longer than the bound: reopened streams are signs of life enough.
            began = time.monotonic()
            while time.monotonic() - began < 12:
                assert watcher.live() == (True, "watches move")
                await asyncio.sleep(0.1)
            plane.freeze_api_server()
            try:
                took = await until(lambda: not watcher.live()[0], "liveness fails", 15)
            finally:
                plane.thaw_api_server()
            assert took < 11
            assert "has been silent for" in watcher.live()[1] or watcher.live()[0]
            await until(lambda: watcher.live()[0], "liveness recovers when the server moves again", 40)

    asyncio.run(scenario())


@pytest.mark.slow
def test_intake_comes_back_when_the_crds_were_removed_and_installed_again(
    plane: KubeControlPlane, credentials: Credentials, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """kopf ends on the 404; it is started again only when the kinds are served, because it looks for them
    only once.
    """

    async def scenario() -> None:
        async with watching(credentials, namespace) as (client, watcher, _added):
            await kopf_watches(client, watcher, namespace)
            removed = await asyncio.to_thread(plane.kubectl, "delete", "--wait=true", "-f", str(CRDS))
            assert removed.returncode == 0, removed.stderr
            await until(lambda: "intake_broken" in caplog.messages, "kopf ends", 60)
            await asyncio.to_thread(install_definitions, plane)
            await kopf_watches(client, watcher, namespace)

    asyncio.run(scenario())
