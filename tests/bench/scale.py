"""What thousands of objects cost the operator: a real API server without nodes, a real database, the operator
as its own process.

5,000 WorkQueues scaled to zero (each makes a Deployment) and 5,000 RowSources on tables of their own; then
100 and 100.
"""

import contextlib
from collections.abc import Iterator

from tests.bench.frame import Bench, Target
from tests.bench.population import (
    Population,
    control_plane,
    cpu_percent,
    cpu_seconds,
    database_cpu_percent,
    memory_mb,
)
from tests.services.kube import KubeControlPlane
from tests.services.operator_room import OperatorRoom

NAME = "scale"
ROUNDS = 1  # some minutes
KEYS = {
    "crs_10000_rss_mb": Target(
        "memory of the operator with 10,000 CRs and 5,000 Deployments, at rest", "MB", "lower", 150, 100
    ),
    "crs_10000_rss_peak_mb": Target("and at most, during cold start or restart", "MB", "lower"),
    "crs_10000_cold_writes_per_object": Target(
        "status writes and applies an object at a cold start", "writes", "lower", 1
    ),
    "crs_10000_cold_start_s": Target("until the last of them is written", "s", "lower"),
    "crs_10000_restart_writes": Target("writes at a restart with nothing changed", "writes", "lower", 0),
    "crs_10000_restart_cpu_s": Target("CPU time of that restart", "s", "lower"),
    "crs_10000_idle_cpu_percent": Target(
        "CPU of the operator at rest with 10,000 CRs", "% of a core", "lower"
    ),
    "idle_100_queues_cpu_percent": Target(
        "CPU of the operator at rest with 100 WorkQueues and 100 RowSources", "% of a core", "lower", 2
    ),
    "idle_100_queues_database_cpu_percent": Target("CPU of PostgreSQL meanwhile", "% of a core", "lower"),
    "idle_100_queues_db_connections": Target(
        "connections to the database meanwhile (bounded: the pool, the listener, a vacuum)",
        "connections",
        "lower",
        8,
    ),
}


def measure(bench: Bench) -> dict[str, float]:
    """One round of both populations."""
    pairs, seconds = (10, 3.0) if bench.quick else (5000, 30.0)
    plane = control_plane()
    try:
        with _room(bench, plane) as room:
            many = _many(bench, room, pairs, seconds)
        with _room(bench, plane) as room:
            return many | _hundred(bench, room, 10 if bench.quick else 100, seconds)
    finally:
        plane.stop()


@contextlib.contextmanager
def _room(bench: Bench, plane: KubeControlPlane) -> Iterator[OperatorRoom]:
    with bench.database(ledger=False) as url:
        room = OperatorRoom(plane, url, bench.redis.url, bench.folder)
        try:
            yield room
        finally:
            room.close()


def _many(bench: Bench, room: OperatorRoom, pairs: int, seconds: float) -> dict[str, float]:
    population = Population(room)
    population.grow(pairs)
    bench.say(f"{2 * pairs} objects made")
    before = population.writes()
    operator = room.operator()
    cold_seconds = population.wait_settled(deadline_seconds=420)
    cold = population.writes() - before
    bench.say(
        f"cold start: {cold_seconds:.0f} s, {dict(cold)}, {cpu_seconds(operator):.0f} s of CPU, memory"
        f" {memory_mb(operator)}"
    )
    idle = cpu_percent(operator, seconds)
    resident, cold_peak = memory_mb(operator)
    bench.say(
        f"at rest: {idle:.1f} % of a core, {resident:.0f} MB; database"
        f" {database_cpu_percent(bench.postgres, 10):.0f} %"
    )
    operator.terminate()
    operator.wait()

    before = population.writes()
    operator = room.operator()
    population.wait_looked_at(operator, deadline_seconds=300)
    population.wait_settled(deadline_seconds=120)
    restart = population.writes() - before
    resident_again, restart_peak = memory_mb(operator)
    bench.say(f"restart: {dict(restart)}, {cpu_seconds(operator):.0f} s of CPU, memory {memory_mb(operator)}")
    return {
        "crs_10000_rss_mb": max(resident, resident_again),
        "crs_10000_rss_peak_mb": max(cold_peak, restart_peak),
        # One status for each of the objects and one apply for each child: 1.0 is what cannot be spared.
        "crs_10000_cold_writes_per_object": sum(cold.values()) / (3 * pairs),
        "crs_10000_cold_start_s": cold_seconds,
        "crs_10000_restart_writes": float(sum(restart.values())),
        "crs_10000_restart_cpu_s": cpu_seconds(operator),
        "crs_10000_idle_cpu_percent": idle,
    }


def _hundred(bench: Bench, room: OperatorRoom, pairs: int, seconds: float) -> dict[str, float]:
    population = Population(room)
    population.grow(1)
    operator = room.operator()
    population.wait_settled(deadline_seconds=60)
    with_one = population.connections()
    population.grow(pairs)
    population.wait_settled(deadline_seconds=120)
    idle = cpu_percent(operator, 2 * seconds)
    bench.say(f"{population.connections()} connections, {with_one} with one queue")
    return {
        "idle_100_queues_cpu_percent": idle,
        "idle_100_queues_database_cpu_percent": database_cpu_percent(bench.postgres, seconds),
        "idle_100_queues_db_connections": float(max(with_one, population.connections())),
    }
