"""300 objects as 10,000 would be treated: one write each, none at a restart, one pool of connections."""

import pytest

from tests.bench.population import Population
from tests.services.operator_room import GROUP, MERGE, OperatorRoom
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ONE_DATABASE_CONNECTIONS = 16  # the two pools, and the listener of the hint


def test_a_cold_start_writes_every_object_once_and_a_restart_writes_nothing(room: OperatorRoom) -> None:
    population = Population(room)
    population.grow(150)
    each, before = population.pairs, population.writes()
    operator = room.operator()
    population.wait_settled(deadline_seconds=120)
    assert population.writes() - before == {
        "deployments": each,
        "workqueues/status": each,
        "rowsources/status": each,
    }

    operator.terminate()
    assert operator.wait() == 0
    before = population.writes()
    restarted = room.operator()
    population.wait_looked_at(restarted, deadline_seconds=120)
    population.wait_settled(deadline_seconds=60)
    assert population.writes() - before == {}

    # The negative twin: a status that says something else is written, and only that one.
    path = f"{GROUP}/namespaces/{room.namespace}/workqueues/queue-7/status"
    room.must("PATCH", path, {"status": {"failed": 99}}, content_type=MERGE)
    wait_until(
        lambda: room.get("WorkQueue", "queue-7")["status"]["failed"] == 0, "the wrong figure is put right", 30
    )
    assert population.writes() - before == {"workqueues/status": 2}


def test_connections_do_not_grow_with_queues_and_a_deleted_queue_leaves_no_gauge(room: OperatorRoom) -> None:
    population = Population(room)
    population.grow(1)
    operator = room.operator()
    population.wait_settled(deadline_seconds=60)
    assert population.connections() <= ONE_DATABASE_CONNECTIONS
    population.grow(100)
    population.wait_settled(deadline_seconds=120)
    assert population.connections() <= ONE_DATABASE_CONNECTIONS

    gauge = f'rowlock_queue_depth{{queue="{room.namespace}/queue-7",state="waiting"}} 0.0'
    assert gauge in operator.page("/metrics")[1]
    room.delete("RowSource", "source-7")
    room.delete("WorkQueue", "queue-7")
    wait_until(
        lambda: f'{room.namespace}/queue-7"' not in operator.page("/metrics")[1],
        "the deleted queue has left the metrics",
        30,
    )
