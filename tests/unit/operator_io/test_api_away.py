"""The API server is away: who may go on with what, and whether a restart would help."""

import asyncio
import random

import pytest

from rowlock_operator.cluster.lease import Elector
from rowlock_operator.wiring import live_or_outage
from tests.unit.operator_io.memory_lease import MemoryLease
from tests.unit.operator_io.virtual_time import run

MOVING, SILENT = (True, "watches move"), (False, "the watch of /x has been silent for 181 s")


@pytest.mark.parametrize(
    ("watches", "answering_seconds", "live"),
    [
        pytest.param(MOVING, 1000.0, True, id="all is well"),
        pytest.param(MOVING, 0.0, True, id="watches move though the Lease is not answered"),
        pytest.param(
            SILENT, 1000.0, False, id="a dead watch beside an API server that answers: a restart helps"
        ),
        pytest.param(SILENT, 0.0, True, id="nothing answers: a restart would only stop the rows"),
        pytest.param(SILENT, 60.0, True, id="back for a minute, the watches may still be opened again"),
        pytest.param(SILENT, 90.0, False, id="back for long enough, and still silent"),
    ],
)
def test_liveness_fails_only_where_a_restart_would_help(
    watches: tuple[bool, str], answering_seconds: float, live: bool
) -> None:
    assert live_or_outage(watches, answering_seconds)[0] is live
    assert live_or_outage(SILENT, 0.0)[1].startswith(SILENT[1]), "the silence is told all the same"


def test_liveness_fails_where_tls_was_refused_for_three_minutes_because_a_restart_mounts_the_files_anew() -> (
    None
):
    assert live_or_outage(MOVING, 0.0, 179.0)[0]
    assert live_or_outage(SILENT, 0.0, 179.0)[0]
    live, why = live_or_outage(SILENT, 0.0, 180.0)
    assert (live, "TLS" in why) == (False, True)


@pytest.mark.parametrize("fault", ["down", "hangs"])
def test_a_lease_lost_to_silence_has_no_rival_and_one_lost_to_somebody_has(fault: str) -> None:
    async def scenario() -> None:
        store, rivals, terms = MemoryLease(), list[float](), list[float]()
        clock = asyncio.get_running_loop().time

        async def lead() -> None:
            terms.append(clock())
            await asyncio.Event().wait()

        async def rival() -> None:
            rivals.append(clock())

        async def until(count: list[float], wanted: int) -> None:
            while len(count) < wanted:
                await asyncio.sleep(0.1)

        first = asyncio.create_task(
            Elector(store, "a", lead, on_rival=rival, clock=clock, rng=random.Random(1)).run()
        )
        await until(terms, 1)
        setattr(store, fault, True)
        await asyncio.sleep(180)
        assert rivals == []
        setattr(store, fault, False)
        await until(terms, 2)
        assert rivals == []
        second = asyncio.create_task(Elector(store, "b", lead, clock=clock, rng=random.Random(2)).run())
        record = store.record
        assert record is not None
        await asyncio.sleep(1)
        await store.write(type(record)("b", 15.0, None, None, 9, record.version))
        await until(rivals, 1)
        for task in (first, second):
            task.cancel()
        await asyncio.wait([first, second])

    run(scenario())
