"""Electors in processes of their own against a real API server, and the Lease store's contract."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.lease import LeaseRecord, LeaseStore
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.errors import Conflict, NotFound
from tests.services.kube import KubeControlPlane
from tests.services.process import wait_until
from tests.unit.operator_io.memory_lease import MemoryLease

pytestmark = pytest.mark.integration


class Candidates:
    def __init__(self, plane: KubeControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        module = "tests.integration.cluster_room.elector_process"
        command = [sys.executable, "-m", module, str(self.plane.kubeconfig), self.namespace, name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes[name] = process
        assert process.stdout is not None
        assert process.stdout.readline() == b"stands\n", "the candidate did not start"

    def end(self, name: str, sig: int) -> None:
        process = self.processes.pop(name)
        process.send_signal(sig)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()

    def lease(self) -> dict[str, object]:
        status, body = self.plane.request(
            "GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/rowlock-operator"
        )
        return dict(body["spec"]) if status == 200 else {}

    def holder(self) -> str:
        return str(self.lease().get("holderIdentity") or "")


@pytest.fixture
def candidates(plane: KubeControlPlane, namespace: str) -> Iterator[Candidates]:
    candidates = Candidates(plane, namespace)
    yield candidates
    for name in tuple(candidates.processes):
        candidates.end(name, signal.SIGKILL)


def other(holder: str) -> str:
    return "b" if holder == "a" else "a"


@pytest.mark.slow
def test_two_candidates_have_one_leader_which_is_replaced_in_time_after_a_release_and_after_a_kill(
    candidates: Candidates,
) -> None:
    candidates.start("a")
    candidates.start("b")
    first = str(wait_until(candidates.holder, "somebody leads"))
    second = other(first)
    began = time.monotonic()
    wait_until(
        lambda: candidates.holder() != first or time.monotonic() - began > 5,
        "some rounds of renewals are over",
    )
    assert candidates.holder() == first
    assert candidates.lease()["leaseTransitions"] == 1

    candidates.end(first, signal.SIGTERM)
    released = time.monotonic()
    wait_until(lambda: candidates.holder() == second, "the other leads after a release")
    assert time.monotonic() - released < 3

    candidates.start(first)
    candidates.end(second, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: candidates.holder() == first, "the other leads after a kill", 25)
    took = time.monotonic() - killed
    assert 10 < took < 20
    assert candidates.lease()["leaseTransitions"] == 3


@contextlib.asynccontextmanager
async def store_of(kind: str, credentials: Credentials, namespace: str):  # type: ignore[no-untyped-def]
    if kind == "memory":
        yield MemoryLease()
        return
    async with lease_client(credentials) as client:
        yield KubeLease(client, namespace, "contract")


@pytest.mark.parametrize("kind", ["memory", "real"])
def test_lease_store_contract(kind: str, credentials: Credentials, namespace: str) -> None:
    """The double of the unit tests and the real Lease keep the same rules."""

    async def scenario() -> None:
        async with store_of(kind, credentials, namespace) as opened:
            store: LeaseStore = opened
            with pytest.raises(NotFound):
                await store.read()
            now = datetime.now(UTC)
            mine = await store.write(LeaseRecord("a", 15, now, now, 1))
            assert await store.read() == mine
            assert (mine.holder, mine.lease_seconds, mine.renewed_at, mine.transitions) == ("a", 15, now, 1)
            with pytest.raises(Conflict):
                await store.write(LeaseRecord("b", 15, now, now, 1))  # creates what is there
            renewed = await store.write(replace(mine, renewed_at=datetime.now(UTC)))
            assert renewed.version != mine.version
            with pytest.raises(Conflict):
                await store.write(replace(mine, holder="b"))  # from an old reading
            released = await store.write(replace(renewed, holder="", lease_seconds=1.0))
            assert (released.holder, released.lease_seconds) == ("", 1.0)

    asyncio.run(scenario())
