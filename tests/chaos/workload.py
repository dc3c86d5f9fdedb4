"""What flows: three tables of users, their WorkQueues and RowSources, and rows in steady bursts. A function
of the seed.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.services.manifests import STATUS_COLUMN, Manifest, exit_queue, row_source, sdk_queue, work_queue

NAMESPACE = "chaos"
IMPORTS = ["tests.chaos.tasks"]
# Failures of the platform are what this is about: their budget must outlast the chaos.
RETRY = {
    "infra": {"limit": 1000, "backoffSeconds": 1, "maxBackoffSeconds": 2},
    "app": {"limit": 20, "backoffSeconds": 1, "maxBackoffSeconds": 2},
}
# Under contract Exit the budget of the program's own failures is small: what the platform or a clock did must
# not be taken for one.
EXIT_RETRY = {**RETRY, "app": {**RETRY["app"], "limit": 3}}
EXIT_LIMITS = {"softSeconds": 90, "hardSeconds": 120}  # less than a node's clock is off


@dataclass(frozen=True)
class Limit:
    """A limit of a source as the checks know it; `per_customer` or for the whole source."""

    source: str
    per_customer: bool
    concurrency: int
    rate: float | None = None  # starts per second
    burst: int = 0


LIMITS = (
    Limit("bills", True, 2, rate=25.0, burst=25),
    Limit("reports", False, 3),
    Limit("exports", False, 3),
)
SOURCES = ("bills", "events", "reports", "exports")
AS_JOBS = ("reports", "exports")  # kube jobs, of contract Sdk and of contract Exit
WITHOUT_FENCE = ("exports",)  # contract Exit: Kubernetes' word is all there is
# `events` has no status column: the ledger alone remembers what was taken
WITH_STATUS = ("bills", "reports", "exports")

TABLE = """
create table {name}(id bigint primary key, source text not null default '{name}', customer text not null,
  kind text not null, millis int not null,
  status text not null default 'new', error text, created_at timestamptz not null default clock_timestamp());
create index on {name}(id) where status = 'new';
"""
RECEIPT = "create table receipt(run uuid not null, attempt int not null)"


def queues(*, jobs: bool) -> list[Manifest]:
    """The WorkQueues; `jobs`: with those whose runs are kube jobs."""
    made = [work_queue(name, imports=IMPORTS, tasks=["chaos"], retry=RETRY) for name in ("bills", "events")]
    if jobs:
        made.append(sdk_queue("reports", imports=IMPORTS, tasks=["chaos"], retry=RETRY, parallelism=4))
        made.append(
            exit_queue("exports", tasks=["chaos"], retry=EXIT_RETRY, limits=EXIT_LIMITS, parallelism=4)
        )
    return [_placed(each) for each in made]


def sources(*, jobs: bool) -> list[Manifest]:
    """The RowSources of `queues`."""
    return [_placed(_source(name)) for name in SOURCES if jobs or name not in AS_JOBS]


def _source(name: str) -> Manifest:
    spec: dict[str, Any] = {
        "workQueueRef": {"name": name},
        "table": name,
        "columns": ["id", "source", "customer", "kind", "millis"],
        "task": "chaos",
        "pending": "status = 'new'",
        "limits": [_limit(limit) for limit in LIMITS if limit.source == name],
    }
    if name in WITH_STATUS:
        spec["statusColumn"] = STATUS_COLUMN
    if name == "bills":
        spec["fairnessKey"] = "customer"
    return row_source(name, **spec)


def _limit(limit: Limit) -> Manifest:
    made: Manifest = {
        "name": "per-customer" if limit.per_customer else "all",
        "concurrency": limit.concurrency,
    }
    if limit.per_customer:
        made["key"] = "customer"
    if limit.rate is not None:
        made["rate"] = {"count": int(limit.rate), "perSeconds": 1, "burst": limit.burst}
    return made


def _placed(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": NAMESPACE}}


@dataclass(frozen=True)
class Row:
    """A row to insert."""

    source: str
    id: int
    customer: str
    kind: str  # plain | transaction | fails | effect
    millis: int


def rows(seed: int, *, jobs: bool, first_millis: Sequence[int] = (), only: str = "") -> Iterator[list[Row]]:
    """Batches of rows without end. `first_millis`: how long the tasks of the first rows take; `only`: of one
    source.
    """
    chance = random.Random(f"rows:{seed}")
    number = 0
    while True:
        # one customer's many rows: its limit must hold, and the others must not wait for it
        burst = chance.random() < 0.04
        batch = []
        for _ in range(40 if burst else chance.randint(1, 12)):
            number += 1
            lot = chance.random()
            source = only or _source_of(lot, burst=burst, jobs=jobs)
            customer = "hot" if burst or chance.random() < 0.3 else f"c{chance.randrange(10)}"
            kind = chance.choices(("plain", "transaction", "fails", "effect"), (40, 45, 5, 10))[0]
            if source in WITHOUT_FENCE and kind != "fails":
                kind = "plain"
            batch.append(Row(source, number, customer, kind, _millis(chance, source, number, first_millis)))
        yield batch


def _source_of(lot: float, *, burst: bool, jobs: bool) -> str:
    if jobs and not burst and lot < 0.08:
        return AS_JOBS[lot < 0.05]
    return "bills" if burst or lot < 0.5 else "events"


def _millis(chance: random.Random, source: str, number: int, first_millis: Sequence[int]) -> int:
    if number <= len(first_millis):
        return first_millis[number - 1]
    if chance.random() < 0.003:
        return chance.randint(11_000, 14_000)  # longer than a lease: it must be renewed meanwhile
    return chance.choice((300, 1000, 3000) if source in AS_JOBS else (0, 5, 20, 60))
