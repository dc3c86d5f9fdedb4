"""The informer of children on a real API server that is killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from rowlock_operator.api.manifest import Manifest, ObjectKey
from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.informer import Informer
from rowlock_operator.cluster.kinds import CONFIG_MAPS
from rowlock_operator.cluster.replies import WatchExpired
from tests.integration.cluster_room.conftest import until
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration
LABEL = "rowlock.dev/work-queue"


def child(namespace: str, name: str, value: str = "1", labels: dict[str, str] | None = None) -> Manifest:
    metadata = {"namespace": namespace, "name": name, "labels": {LABEL: "q"} if labels is None else labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


@contextlib.asynccontextmanager
async def following(
    credentials: Credentials, namespace: str | None, **settings: float
) -> AsyncIterator[tuple[KubeClient, Informer[str], list[ObjectKey]]]:
    changed: list[ObjectKey] = []
    async with KubeClient(credentials, ClientSettings(page_size=3, **settings)) as client:  # type: ignore[arg-type]
        informer = Informer(
            client,
            CONFIG_MAPS,
            namespaces=(namespace,),
            label_selector=LABEL,
            compact=lambda manifest: str(manifest["data"]["value"]),
            on_change=changed.append,
        )
        task = asyncio.create_task(informer.run())
        try:
            await asyncio.wait_for(informer.synced.wait(), 20)
            yield client, informer, changed
        finally:
            task.cancel()
            await asyncio.wait([task])


def key(namespace: str, name: str) -> ObjectKey:
    return ObjectKey("configmaps", namespace, name)


def test_informer_lists_in_pages_follows_changes_and_keeps_only_labelled_compacted_values(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with KubeClient(credentials) as before:
            for n in range(8):
                await before.create(CONFIG_MAPS, child(namespace, f"c{n}"))
            await before.create(CONFIG_MAPS, child(namespace, "stranger", labels={}))
        async with following(credentials, namespace) as (client, informer, changed):
            assert dict(informer.items()) == {key(namespace, f"c{n}"): "1" for n in range(8)}
            changed.clear()
            await client.merge_patch(CONFIG_MAPS, namespace, "c0", {"data": {"value": "2"}})
            await until(lambda: informer.get(key(namespace, "c0")) == "2", "a change is seen")
            # not in the compacted value
            await client.merge_patch(CONFIG_MAPS, namespace, "c0", {"data": {"other": "3"}})
            await client.delete(CONFIG_MAPS, namespace, "c1")
            await until(lambda: informer.get(key(namespace, "c1")) is None, "a deletion is seen")
            await client.merge_patch(CONFIG_MAPS, namespace, "c2", {"metadata": {"labels": {LABEL: None}}})
            await until(
                lambda: informer.get(key(namespace, "c2")) is None, "an object that lost its label is gone"
            )
            assert changed == [key(namespace, "c0"), key(namespace, "c1"), key(namespace, "c2")]

    asyncio.run(scenario())


@pytest.mark.slow
def test_informer_survives_a_restart_of_the_api_server_and_misses_no_deletion(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with following(credentials, namespace, silence_seconds=5.0) as (client, informer, changed):
            for name in ("stays", "goes", "changes"):
                await client.create(CONFIG_MAPS, child(namespace, name))
            await until(lambda: len(informer) == 3, "all seen")
            changed.clear()
            await asyncio.to_thread(plane.stop_api_server)
            await asyncio.to_thread(plane.start_api_server)
            async with KubeClient(credentials) as other:
                await other.delete(CONFIG_MAPS, namespace, "goes")
                await other.merge_patch(CONFIG_MAPS, namespace, "changes", {"data": {"value": "2"}})
            await until(lambda: informer.get(key(namespace, "goes")) is None, "the deletion is found", 40)
            await until(lambda: informer.get(key(namespace, "changes")) == "2", "the change is found", 40)
            assert informer.get(key(namespace, "stays")) == "1"
            assert key(namespace, "stays") not in changed
            await client.create(CONFIG_MAPS, child(namespace, "new"))
            await until(lambda: informer.get(key(namespace, "new")), "the watch moves again", 40)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_deletion_that_no_watch_can_tell_of_any_more_is_found_by_the_sweep(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    """A restarted API server has no history: it answers 410 to the old resource version, and the object is
    missing in the next list.
    """

    async def scenario() -> None:
        changed: list[ObjectKey] = []
        async with KubeClient(credentials) as client:
            made = await client.create(CONFIG_MAPS, child(namespace, "goes"))
            await client.create(CONFIG_MAPS, child(namespace, "stays"))
            informer = Informer(
                client,
                CONFIG_MAPS,
                namespaces=(namespace,),
                label_selector=LABEL,
                compact=lambda manifest: str(manifest["data"]["value"]),
                on_change=changed.append,
            )
            first = asyncio.create_task(informer.run())
            await until(lambda: len(informer) == 2, "both seen")
            first.cancel()
            await asyncio.wait([first])
            await client.delete(CONFIG_MAPS, namespace, "goes")
            await asyncio.to_thread(plane.stop_api_server)
            await asyncio.to_thread(plane.start_api_server)
            with pytest.raises(WatchExpired):
                await anext(
                    client.watch(CONFIG_MAPS, namespace, resource_version=made["metadata"]["resourceVersion"])
                )
            changed.clear()
            second = asyncio.create_task(informer.run())
            try:
                await until(lambda: len(informer) == 1, "the sweep drops what is gone", 30)
                assert changed == [key(namespace, "goes")]
            finally:
                second.cancel()
                await asyncio.wait([second])

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_frozen_api_server_makes_the_informer_silent_and_an_idle_one_does_not(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with following(credentials, namespace, silence_seconds=1.0, request_timeout_seconds=2.0) as (
            _client,
            informer,
            _changed,
        ):
            for _ in range(60):
                assert informer.silent_seconds() < 3
                await asyncio.sleep(0.1)
            plane.freeze_api_server()
            try:
                await until(lambda: informer.silent_seconds() > 4, "silence shows", 10)
            finally:
                plane.thaw_api_server()
            await until(lambda: informer.silent_seconds() < 3, "signs of life again", 40)

    asyncio.run(scenario())
