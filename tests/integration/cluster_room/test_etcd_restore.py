"""etcd is restored from a backup under a real API server: versions go back, and what is there now is what
counts.

What it means for the users' objects, for statuses and rows: tests/integration/operator/test_outages.py.
"""

import asyncio

import pytest

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.kinds import CONFIG_MAPS
from tests.integration.cluster_room.conftest import until
from tests.integration.cluster_room.test_informer import child, following, key
from tests.services.kube import KubeControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_children_are_followed_on_after_etcd_was_restored(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    one, later = key(namespace, "one"), key(namespace, "later")

    async def change(client: KubeClient, value: str) -> None:
        await client.merge_patch(CONFIG_MAPS, namespace, "one", {"data": {"value": value}})

    async def scenario() -> None:
        async with (
            following(credentials, namespace) as (client, informer, _changed),
            KubeClient(credentials) as other,
        ):
            await client.create(CONFIG_MAPS, child(namespace, "one"))
            snapshot = await asyncio.to_thread(plane.snapshot_etcd)
            for number in range(60):  # far more versions than the restored history will have for a while
                await change(client, f"before {number}")
            await client.create(CONFIG_MAPS, child(namespace, "later"))
            await until(lambda: informer.get(later) and informer.get(one) == "before 59", "all is seen")
            await asyncio.to_thread(plane.restore_etcd, snapshot)
            await change(other, "after")
            await until(lambda: informer.get(one) == "after", "a change of a lower version is seen", 60)
            await until(lambda: informer.get(later) is None, "what was made after the backup is gone", 60)
            await change(other, "next")
            await until(lambda: informer.get(one) == "next", "the watch goes on", 60)

    asyncio.run(scenario())
