"""Many WorkQueues and RowSources on one API server and one database, and what an operator makes of them, seen
from outside: the API server's own counters, /proc, pg_stat_activity.
"""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import Kind
from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import load_kubeconfig
from tests.services.kube import KubeControlPlane, install_definitions
from tests.services.manifests import STATUS_COLUMN, Manifest, row_source, work_queue
from tests.services.operator_room import OperatorProcess, OperatorRoom
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until

WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
TABLES_A_TRANSACTION = 100  # each takes a few entries of the lock table


def control_plane() -> KubeControlPlane:
    """A started API server with our definitions, without controllers: what is written there, we or the
    operator wrote.
    """
    plane = KubeControlPlane().start()
    install_definitions(plane)
    return plane


class Population:
    """WorkQueues scaled to zero, each with a RowSource on an empty table of its own."""

    def __init__(self, room: OperatorRoom) -> None:
        self.room, self.pairs = room, 0

    def grow(self, pairs: int) -> None:
        """To so many pairs. Tables first; the objects by 40 requests at a time."""
        added = range(self.pairs, pairs)
        for first in added[::TABLES_A_TRANSACTION]:
            self.room.sql(
                "; ".join(_table(number) for number in range(first, min(pairs, first + TABLES_A_TRANSACTION)))
            )
        asyncio.run(self._create(added))
        self.pairs = pairs

    async def _create(self, added: range) -> None:
        async with KubeClient(
            load_kubeconfig(self.room.plane.kubeconfig), ClientSettings(connections=40)
        ) as kube:
            work: Iterator[tuple[Kind, Manifest]] = iter(
                pair
                for number in added
                for pair in ((WORK_QUEUES, _queue(number)), (ROW_SOURCES, _source(number)))
            )

            async def creator() -> None:
                for kind, manifest in work:
                    manifest["metadata"]["namespace"] = self.room.namespace
                    await kube.create(kind, manifest)

            await asyncio.gather(*(creator() for _ in range(40)))

    def wait_settled(self, *, deadline_seconds: float) -> float:
        """Until every object says Ready=True and the API server has seen no write for 5 s; returns the
        seconds until its last write.
        """
        began = time.monotonic()
        last, changed = self.writes(), began

        def settled() -> bool:
            nonlocal last, changed
            time.sleep(0.5)  # the question costs the API server something, too
            now = self.writes()
            if now != last:
                last, changed = now, time.monotonic()
            return time.monotonic() - changed > 5 and self.not_ready() == 0

        wait_until(settled, "every object is ready and nothing more is written", deadline_seconds)
        return changed - began

    def wait_looked_at(self, operator: OperatorProcess, *, deadline_seconds: float) -> None:
        """Until the operator has looked as often as there are objects."""
        wait_until(lambda: looks(operator) >= 2 * self.pairs, "every object was looked at", deadline_seconds)

    def not_ready(self) -> int:
        """Objects without Ready=True for their generation."""
        missing = 2 * self.pairs
        for plural in ("workqueues", "rowsources"):
            for item in self._list(plural):
                ready = next(
                    (c for c in item.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), {}
                )
                missing -= (
                    ready.get("status") == "True"
                    and item["status"].get("observedGeneration") == item["metadata"]["generation"]
                )
        return missing

    def _list(self, plural: str) -> Iterator[Manifest]:
        path, more = f"/apis/rowlock.dev/v1alpha1/namespaces/{self.room.namespace}/{plural}?limit=500", ""
        while True:
            page = self.room.must("GET", path + more)
            yield from page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return
            more = f"&continue={token}"

    def writes(self) -> Counter[str]:
        """Writes the API server has served, by resource, without Leases."""
        counted: Counter[str] = Counter()
        for line in str(self.room.plane.request("GET", "/metrics")[1]).splitlines():
            if line.startswith("apiserver_request_total{"):
                labels = dict(
                    part.split("=", 1)
                    for part in line[line.index("{") + 1 : line.rindex("}")].replace('"', "").split(",")
                )
                if labels["verb"] in WRITES and labels["resource"] != "leases":
                    resource = "/".join(part for part in (labels["resource"], labels["subresource"]) if part)
                    counted[resource] += int(float(line.rsplit(" ", 1)[1]))
        return counted

    def connections(self) -> int:
        """Connections of operators to the database."""
        rows = self.room.sql(
            "select count(*) from pg_stat_activity where application_name = 'rowlock-operator' and datname ="
            " current_database()"
        )
        return int(rows[0][0])


def looks(operator: OperatorProcess) -> int:
    """How often the operator has looked at an object."""
    found = re.findall(
        r"^rowlock_reconcile_seconds_count{.*} (.*)$", operator.page("/metrics")[1], re.MULTILINE
    )
    return int(sum(float(count) for count in found))


def cpu_seconds(operator: OperatorProcess) -> float:
    """User and system time of the process so far."""
    return _cpu_seconds(operator.pid)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def database_cpu_percent(postgres: PostgresServer, seconds: float) -> float:
    """Share of one core over a window, of the sessions that lived through it."""

    def used() -> dict[int, float]:
        with connect(postgres.url()) as cursor:
            cursor.execute("select pid from pg_stat_activity where pid <> pg_backend_pid()")
            return {pid: _cpu_seconds(pid) for (pid,) in cursor.fetchall()}

    before, began = used(), time.monotonic()
    wait_until(lambda: time.monotonic() - began > seconds, "the window is over", seconds + 60)
    after = used()
    return (
        100
        * sum(after[pid] - before[pid] for pid in before.keys() & after.keys())
        / (time.monotonic() - began)
    )


def cpu_percent(operator: OperatorProcess, seconds: float) -> float:
    """Share of one core over a window."""
    before, began = cpu_seconds(operator), time.monotonic()
    wait_until(lambda: time.monotonic() - began > seconds, "the window is over", seconds + 60)
    return 100 * (cpu_seconds(operator) - before) / (time.monotonic() - began)


def memory_mb(operator: OperatorProcess) -> tuple[float, float]:
    """Resident now, and at most so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{operator.pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def _table(number: int) -> str:
    return (
        f"create table if not exists orders_{number}(id bigint primary key, amount numeric not null default"
        f" 1, status text not null default 'new', error text);create index if not exists orders_{number}_new"
        f" on orders_{number}(id) where status = 'new'"
    )


def _queue(number: int) -> Manifest:
    return work_queue(f"queue-{number}", scaling={"min": 0, "max": 3})


def _source(number: int) -> Manifest:
    return row_source(
        f"source-{number}",
        workQueueRef={"name": f"queue-{number}"},
        table=f"public.orders_{number}",
        statusColumn=STATUS_COLUMN,
    )
