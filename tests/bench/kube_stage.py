"""An operator process with a RowSource whose rows become kube jobs, and a watch that tells when each was
there. Works on any API server.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes import client, config

from tests.bench.frame import Bench
from tests.bench.row_to_start import TRIGGER
from tests.services.kube import KubeControlPlane, serving_definitions
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import create_orders

QUEUE = "stamps"


class JobWatch:
    """Stamps each new kube job of a namespace when its line of the watch is read."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._api = config.new_client_from_config(str(kubeconfig))
        self.batch = client.BatchV1Api(self._api)
        version = self.batch.list_namespaced_job(namespace).metadata.resource_version
        self._stream = self.batch.list_namespaced_job(
            namespace, watch=True, resource_version=version, _preload_content=False
        )
        self._seen: queue.Queue[int] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(Exception):  # closed by the other thread
            for chunk in self._stream.stream(amt=None):
                at = time.time_ns()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b'{"type":"ADDED"'):
                        self._seen.put(at)

    def next(self, seconds: float = 60) -> int:  # noqa: A003
        """Nanoseconds of the wall clock at which the next one was there. Raises queue.Empty."""
        return self._seen.get(timeout=seconds)

    def close(self) -> None:
        self._stream.shutdown()  # close() would wait for the other thread's read, and nothing comes any more
        self._thread.join(5)
        self._stream.close()
        self._api.rest_client.pool_manager.clear()


@contextlib.contextmanager
def stage(bench: Bench, plane: Any, **queue_spec: Any) -> Iterator[tuple[OperatorRoom, JobWatch]]:
    """The operator leads, the source is ready, the first row has its kube job."""
    with bench.database(ledger=False) as url:
        create_orders(url)
        room = OperatorRoom(plane, url, bench.redis.url, bench.folder)
        watch = JobWatch(plane.kubeconfig, room.namespace)
        try:
            room.create(exit_queue(QUEUE, parallelism=1000, **queue_spec))
            room.create(
                row_source(
                    "orders",
                    workQueueRef={"name": QUEUE},
                    task="resize",
                    columns=["id"],
                    statusColumn=STATUS_COLUMN,
                )
            )
            room.operator()
            room.wait_condition("RowSource", "orders", status="True")
            with connect(url) as cur:
                cur.execute(TRIGGER)
            commit_row(room)
            watch.next()
            yield room, watch
        finally:
            watch.close()
            room.close()
            wait_until(lambda: not room.kube_jobs(), "the kube jobs are gone", 60)


@contextlib.contextmanager
def bare_control_plane() -> Iterator[KubeControlPlane]:
    """kube-apiserver with our definitions; no controller, no node."""
    with serving_definitions() as plane:
        yield plane


def commit_row(room: OperatorRoom, rows: int = 1) -> int:
    """Nanoseconds of the wall clock when the rows were committed."""
    with connect(room.url) as cur:
        cur.execute(
            "insert into orders(customer, amount) select 'Ada', i from generate_series(1, %s) i", (rows,)
        )
        return time.time_ns()
