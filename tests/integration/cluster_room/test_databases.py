"""Databases that do not answer, beside one that does."""

import asyncio
import base64
import socket

import pytest

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.api.work_queue import DatabaseRef
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.errors import RetryLater
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration


def secret(plane: KubeControlPlane, namespace: str, name: str, url: str) -> DatabaseRef:
    encoded = base64.b64encode(url.encode()).decode()
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {"url": encoded, "workerUrl": encoded},
    }
    assert plane.request("POST", f"/api/v1/namespaces/{namespace}/secrets", manifest)[0] == 201
    return DatabaseRef(secret_name=name)


def test_one_that_takes_connections_and_says_nothing_keeps_no_look_waiting(
    plane: KubeControlPlane, namespace: str, credentials: Credentials, database: str, redis_url: str
) -> None:
    async def scenario(silent: socket.socket) -> None:
        queues = RedisQueues(redis_url)
        dead = secret(plane, namespace, "dead", f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/shop")
        good = secret(plane, namespace, "good", database)

        def make(url: str) -> DatabaseDispatcher:
            return DatabaseDispatcher(url, lambda: queues, DispatchSettings(), launch=lambda *_: None)

        async with KubeClient(credentials) as kube:
            databases = Databases(kube, make)
            try:
                asked = [
                    asyncio.create_task(
                        databases.open(ObjectKey(WORK_QUEUES.plural, namespace, f"q{number}"), dead)
                    )
                    for number in range(40)
                ]
                opened = await databases.open(ObjectKey(WORK_QUEUES.plural, namespace, "healthy"), good)
                assert list(databases) == [opened]
                assert not any(each.done() for each in asked), "it waited for none of them"
                async with asyncio.timeout(30):  # 40 times the five seconds of a connection are 200
                    answers = await asyncio.gather(*asked, return_exceptions=True)
                assert all(isinstance(each, RetryLater) for each in answers), answers
                async with asyncio.timeout(3):
                    with pytest.raises(RetryLater):
                        await databases.open(ObjectKey(WORK_QUEUES.plural, namespace, "late"), dead)
            finally:
                await databases.close()
                queues.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(scenario(silent))
