"""How far large rows make etcd grow: rows of contract Exit whose kube jobs run and end on a real API server,
with the controllers of Kubernetes.

`python -m tests.proof.etcd_growth [--rows N] [--seconds N] [--hurry N] [--out FILE]`. With `--hurry 10` etcd
compacts, and the bound counts, over 30 s instead of 300: the same bytes in a tenth of the time. There is no
kubelet; a stand-in writes what one would.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.chaos.node_api import Api
from tests.services.kube import KubeControlPlane, install_definitions
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer

MIB = 1024 * 1024
ROW_BYTES = 198 * 1024
PARALLELISM = 100
ALLOWED_BYTES = 512 * MIB
COMPACTION_SECONDS = 300
THREADS = 4


@dataclass(frozen=True)
class Growth:
    """Of etcd's file, above what it was before the first row."""

    rows: int
    ended: int
    seconds: float
    largest_growth_bytes: int
    versions_bytes: float
    throttled: bool
    hurry: int


class Node:
    """A stand-in for scheduler and kubelet: binds each pod of a namespace, lets it run for a moment, and
    writes its end.
    """

    def __init__(self, plane: KubeControlPlane, namespace: str) -> None:
        self._kubeconfig, self._pods = plane.kubeconfig, f"/api/v1/namespaces/{namespace}/pods"
        self._stop = threading.Event()
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]

    @contextmanager
    def working(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        yield
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _work(self) -> None:
        api = Api(self._kubeconfig)
        while not self._stop.wait(0.1):
            try:
                while name := self._next(api):
                    self._run(api, name)
            except (OSError, HTTPException):
                continue

    def _next(self, api: Api) -> str | None:
        # As a table, which leaves out the rows in the annotations.
        with self._lock:
            _, answer = api.call(
                "GET",
                f"{self._pods}?includeObject=None",
                accept="application/json;as=Table;g=meta.k8s.io;v=v1",
            )
            pods = {row["cells"][0] for row in answer["rows"]}
            self._taken &= pods
            name: str | None = next(iter(sorted(pods - self._taken)), None)
            if name is not None:
                self._taken.add(name)
            return name

    def _run(self, api: Api, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": "node"}
        api.call("POST", f"{self._pods}/{name}/binding", {"metadata": {"name": name}, "target": target})
        for phase in ("Pending", "Running", "Succeeded"):
            api.call("PATCH", f"{self._pods}/{name}/status", {"status": _status(phase)})


def _status(phase: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state: dict[str, Any] = {
        "Pending": {"waiting": {"reason": "ContainerCreating"}},
        "Running": {"running": {"startedAt": now}},
        "Succeeded": {
            "terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        },
    }[phase]
    container = {
        "name": "main",
        "image": "x:1",
        "imageID": "",
        "ready": phase == "Running",
        "restartCount": 0,
        "state": state,
    }
    ready = "True" if phase == "Running" else "False"
    conditions = [
        {"type": kind, "status": ready, "lastTransitionTime": now}
        for kind in ("Initialized", "Ready", "ContainersReady")
    ]
    return {"phase": phase, "conditions": conditions, "containerStatuses": [container], "startTime": now}


def measure(
    plane: KubeControlPlane,
    room: OperatorRoom,
    *,
    rows: int,
    seconds: float,
    hurry: int,
    bounded: bool = True,
    delivery: str = "Annotation",
) -> Growth:
    """Until all rows have ended, or so many seconds are over."""
    room.sql(
        "create table orders(id bigint generated always as identity primary key, status text not null default"
        " 'new', error text, body text);create index on orders(id) where status = 'new'"
    )
    room.create(exit_queue("resize", parallelism=PARALLELISM, rowDelivery=delivery))
    columns = ["id", "body"]
    room.create(
        row_source(
            "orders",
            workQueueRef={"name": "resize"},
            task="resize",
            columns=columns,
            statusColumn=STATUS_COLUMN,
        )
    )
    hurried = f"import rowlock_operator.dispatch.write_budget as budget\nbudget.WINDOW_SECONDS /= {hurry}\n"
    room.operator(
        otherwise=hurried,
        **({} if bounded else {"rowlock_queue_write_mib": "0", "rowlock_total_write_mib": "0"}),
    )
    room.wait_condition("RowSource", "orders", status="True")
    before, largest, throttled, began = plane.etcd_bytes(), 0, False, time.monotonic()
    # Half of the text is random: nothing on the way may pack it.
    room.sql(
        "insert into orders(body) select string_agg(md5(random()::text || n || i), '') from"
        " generate_series(1, %s) i, generate_series(1, %s) n group by i",
        rows,
        ROW_BYTES // 32,
    )
    ended = 0
    with Node(plane, room.namespace).working():
        while ended < rows and time.monotonic() - began < seconds:
            time.sleep(0.5)
            largest = max(largest, plane.etcd_bytes() - before)
            throttled = (
                throttled
                or room.condition("WorkQueue", "resize", "Throttled").get("reason") == "AtWriteBound"
            )
            ((ended,),) = room.sql("select count(*) from orders where status = 'done'")
    return Growth(
        rows,
        ended,
        round(time.monotonic() - began, 1),
        largest,
        round(largest / max(1, ended)),
        throttled,
        hurry,
    )


@contextmanager
def stage(*, hurry: int) -> Iterator[tuple[KubeControlPlane, OperatorRoom]]:
    """A control plane of its own, whose etcd compacts as often as the bound is hurried."""
    plane = KubeControlPlane(controller_manager=True, compaction_seconds=COMPACTION_SECONDS // hurry).start(
        install_definitions
    )
    postgres, redis = PostgresServer().start(), RedisServer().start()
    try:
        with tempfile.TemporaryDirectory(prefix="rowlock-etcd-") as folder:
            room = OperatorRoom(plane, postgres.new_database(ledger=False), redis.url, Path(folder))
            try:
                yield plane, room
            finally:
                room.close()
    finally:
        for server in (redis, postgres, plane):
            server.stop()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.proof.etcd_growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--hurry", type=int, default=10)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    with stage(hurry=given.hurry) as (plane, room):
        growth = measure(plane, room, rows=given.rows, seconds=given.seconds, hurry=given.hurry)
    held = growth.largest_growth_bytes < ALLOWED_BYTES and growth.ended == growth.rows
    text = json.dumps(
        {
            "held": held,
            "row_bytes": ROW_BYTES,
            "parallelism": PARALLELISM,
            "allowed_bytes": ALLOWED_BYTES,
            **asdict(growth),
        },
        indent=2,
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
