"""A control plane of this folder's own, because its tests kill and freeze it."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from rowlock_operator.cluster.credentials import Credentials, load_kubeconfig
from tests.services.kube import KubeControlPlane, serving_definitions


@pytest.fixture(scope="module")
def plane() -> Iterator[KubeControlPlane]:
    with serving_definitions() as made:
        yield made


@pytest.fixture
def credentials(plane: KubeControlPlane) -> Credentials:
    return load_kubeconfig(plane.kubeconfig)


@pytest.fixture
def namespace(plane: KubeControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own; without a namespace controller it is emptied by whoever ends the
    plane.
    """
    name = "t" + format(abs(hash(request.node.nodeid)) % 10**12, "x")
    status, body = plane.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    assert status == 201, body
    return name


async def until(condition: Callable[[], object], what: str, deadline_seconds: float = 20.0) -> float:
    """Waits for a condition and returns how many seconds it took; AssertionError past the deadline."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > deadline_seconds:
            raise AssertionError(f"not within {deadline_seconds} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began
