"""etcd is restored from a backup under a real API server: versions go back, and what is there now is what counts."""

import asyncio
import contextlib

import pytest

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.informer import Informer
from rowlock_operator.cluster.kinds import CONFIG_MAPS, WORK_QUEUES
from tests.integration.cluster_room.conftest import until
from tests.integration.cluster_room.test_informer import child
from tests.integration.cluster_room.test_informer import key as config_map
from tests.integration.cluster_room.test_intake import key, kopf_watches, soft_seconds, watching, work_queue
from tests.services.kube import KubeControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.slow]


async def edit(client: KubeClient, namespace: str, name: str, seconds: int) -> None:
    await client.merge_patch(WORK_QUEUES, namespace, name, {"spec": {"limits": {"softSeconds": seconds}}})


async def restored(plane: KubeControlPlane, credentials: Credentials, namespace: str) -> None:
    changed: list[object] = []
    one, gone, later = (key(namespace, name) for name in ("one", "gone", "later"))
    async with watching(credentials, namespace, resync_seconds=3600.0) as (client, watcher, added):
        informer = Informer(
            client,
            CONFIG_MAPS,
            namespaces=(namespace,),
            label_selector="rowlock.dev/work-queue",
            compact=lambda manifest: str(manifest["data"]["value"]),
            on_change=changed.append,
        )
        following = asyncio.create_task(informer.run())
        try:
            await client.create(WORK_QUEUES, work_queue(namespace, "one"))
            await client.create(WORK_QUEUES, work_queue(namespace, "gone"))
            await client.create(CONFIG_MAPS, child(namespace, "one"))
            await kopf_watches(client, watcher, namespace)
            snapshot = await asyncio.to_thread(plane.snapshot_etcd)
            for seconds in range(200, 260):  # far more versions than the restored history will have
                await edit(client, namespace, "one", seconds)
            await client.delete(WORK_QUEUES, namespace, "gone")
            await client.create(WORK_QUEUES, work_queue(namespace, "later"))
            await client.create(CONFIG_MAPS, child(namespace, "later"))
            await client.merge_patch(CONFIG_MAPS, namespace, "one", {"data": {"value": "2"}})
            await until(lambda: watcher.primaries.get(later) and not watcher.primaries.get(gone), "all is seen")
            await until(lambda: soft_seconds(watcher, one) == 259 and len(informer) == 2, "all of it")

            await asyncio.to_thread(plane.restore_etcd, snapshot)
            async with KubeClient(credentials) as other:
                await edit(other, namespace, "one", 111)
                await other.merge_patch(CONFIG_MAPS, namespace, "one", {"data": {"value": "3"}})
            await until(lambda: soft_seconds(watcher, one) == 111, "an edit of a lower version is obeyed", 60)
            await until(lambda: watcher.primaries.get(gone), "what was deleted after the backup is back", 60)
            await until(lambda: watcher.primaries.get(later) is None, "what was made after it is gone", 60)
            await until(lambda: informer.get(config_map(namespace, "one")) == "3", "children, too", 60)
            await until(lambda: informer.get(config_map(namespace, "later")) is None, "they are gone, too", 60)
            added.clear()
            async with KubeClient(credentials) as other:
                await edit(other, namespace, "one", 112)
                await other.merge_patch(CONFIG_MAPS, namespace, "one", {"data": {"value": "4"}})
                await until(lambda: soft_seconds(watcher, one) == 112, "the watch brings the next one", 60)
                await until(lambda: informer.get(config_map(namespace, "one")) == "4", "of children, too", 60)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


def test_edits_are_obeyed_and_deletions_seen_after_etcd_was_restored(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    asyncio.run(restored(plane, credentials, namespace))
