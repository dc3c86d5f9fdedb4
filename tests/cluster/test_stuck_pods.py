"""What a real kubelet says of a pod that waits for its container for ever; the minute after which that is
told is handed in.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import load_kubeconfig
from rowlock_operator.cluster.event_reader import EventReader
from rowlock_operator.cluster.kinds import PODS, SECRETS
from rowlock_operator.observed.pods import observe_pod
from rowlock_operator.observed.queues import PodProblem
from rowlock_operator.status.pod_problems import pod_problems

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]
NAMESPACE, NAME = "default", "faults-stuck"
PICKED = {"secretName": NAME, "items": [{"key": "workerUrl", "path": "url"}]}
IMAGE = "python:3.13-slim-trixie"


def pod(name: str, **spec: Any) -> dict[str, Any]:
    main = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "60"]}
    volume = {"volumeMounts": [{"name": "database", "mountPath": "/database"}]} if "volumes" in spec else {}
    whole = {"containers": [{**main, **volume}], "terminationGracePeriodSeconds": 0, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": whole,
    }


STUCK = {
    f"{NAME}-key": (
        pod(f"{NAME}-key", volumes=[{"name": "database", "secret": PICKED}]),
        "references non-existent secret key: workerUrl",
    ),
    f"{NAME}-secret": (
        pod(f"{NAME}-secret", volumes=[{"name": "database", "secret": {"secretName": "nobody"}}]),
        'secret "nobody" not found',
    ),
    f"{NAME}-scheduler": (pod(f"{NAME}-scheduler", schedulerName="nobody"), "no scheduler has looked at it"),
}


async def told_of(kube: KubeClient, name: str) -> PodProblem | None:
    """What would be told of it a minute from now, with its newest Warning Event."""
    found = pod_problems(
        [observe_pod(await kube.get(PODS, NAMESPACE, name))], datetime.now(UTC) + timedelta(seconds=61)
    )
    if not found or found[0].involved is None:
        return None
    said = await EventReader(kube).newest(NAMESPACE, found[0].involved)
    return PodProblem(kind=found[0].kind, message=f"{found[0].message} ({said})")


@pytest.fixture
def kubeconfig(cluster_kubeconfig: Path) -> Iterator[Path]:
    async def clear() -> None:
        async with KubeClient(load_kubeconfig(cluster_kubeconfig)) as kube:
            for name in STUCK:
                await kube.delete(PODS, NAMESPACE, name)
            await kube.delete(SECRETS, NAMESPACE, NAME)

    asyncio.run(clear())
    yield cluster_kubeconfig
    asyncio.run(clear())


def test_what_a_kubelet_says_of_a_key_a_secret_and_a_scheduler_that_are_missing_is_told(
    kubeconfig: Path,
) -> None:
    async def scenario() -> None:
        async with KubeClient(load_kubeconfig(kubeconfig)) as kube, asyncio.timeout(120):
            await kube.create(
                SECRETS, {"metadata": {"namespace": NAMESPACE, "name": NAME}, "stringData": {"url": "x"}}
            )
            for manifest, _ in STUCK.values():
                await kube.create(PODS, manifest)
            for name, (_, words) in STUCK.items():
                while (problem := await told_of(kube, name)) is None or words not in problem.message:
                    await asyncio.sleep(0.5)
                assert problem.kind == "PodStuck"

    asyncio.run(scenario())
