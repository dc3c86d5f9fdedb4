"""The real Kueue holds, admits and preempts kube jobs of a WorkQueue, with a quota of two pods: `python -m
tests.proof.kueue [--out FILE]`.

A real API server, the real controllers, the real Kueue (tests/services/kueue.py; built once, a quarter of an
hour), and a stand-in for a node that runs real processes (tests/chaos/kubelet.py). Needs root. Exit code 0
where all of it held: held kube jobs are neither deleted nor made anew, beyond startingDeadlineSeconds too,
and are told; what Kueue preempts is tried again and costs no try of the program's own; every row ends once.
`shapes` of the result are what Kueue and the controllers wrote on a kube job, in the order in which it was
seen.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos import tasks
from tests.chaos.tasklog import TaskLog
from tests.services.kube import KubeControlPlane, serving_definitions
from tests.services.kueue import PRIORITY_CLASS, QUEUE_NAME, Kueue, one_queue
from tests.services.manifests import STATUS_COLUMN, Manifest, exit_queue, row_source
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.process import Server, wait_until
from tests.services.redis import RedisServer
from tests.services.worker import ROOT

QUOTA, ROWS, DEADLINE_SECONDS = 2, 4, 10
RUN_MILLIS = 25_000  # longer than the deadline of those that wait
_TABLE = """
create table exports(id bigint primary key, source text not null default 'exports',
  customer text not null default 'c', kind text not null default 'plain', millis int not null,
  status text not null default 'new', error text);
"""
_JOBS = "/apis/batch/v1/namespaces/{}/jobs"


class Shapes:
    """What was seen on each kube job, one shape after the other; looks ten times a second."""

    def __init__(self, room: OperatorRoom) -> None:
        self._room = room
        self.of: dict[str, list[Manifest]] = {}  # by uid
        self.attempt: dict[str, tuple[str, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def _look_on(self) -> None:
        while not self._over.wait(0.1):
            for job in self._room.kube_jobs():
                labels, seen = (
                    job["metadata"].get("labels", {}),
                    self.of.setdefault(job["metadata"]["uid"], []),
                )
                if "rowlock.dev/run" not in labels:
                    continue
                self.attempt[job["metadata"]["uid"]] = (
                    labels["rowlock.dev/run"],
                    int(labels["rowlock.dev/attempt"]),
                )
                shape = _shape(job)
                if not seen or seen[-1] != shape:
                    seen.append(shape)

    def __enter__(self) -> "Shapes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)


def _shape(job: Manifest) -> Manifest:
    metadata, spec, status = job["metadata"], job["spec"], job.get("status", {})
    foreign = {name: value for name, value in metadata.get("labels", {}).items() if "kueue" in name}
    return {
        "labels": foreign,
        "annotations": {
            name: value for name, value in metadata.get("annotations", {}).items() if "kueue" in name
        },
        "suspend": spec.get("suspend"),
        "template_labels": {
            k: v for k, v in spec["template"]["metadata"].get("labels", {}).items() if "kueue" in k
        },
        "template_annotations": {
            k: v for k, v in spec["template"]["metadata"].get("annotations", {}).items() if "kueue" in k
        },
        "node_selector": spec["template"]["spec"].get("nodeSelector"),
        "started": "startTime" in status,
        "counts": {
            name: status[name]
            for name in ("active", "terminating", "succeeded", "failed")
            if status.get(name)
        },
        "conditions": [
            {name: each.get(name, "") for name in ("type", "status", "reason", "message")}
            for each in status.get("conditions", [])
        ],
    }


@contextmanager
def installation(folder: Path) -> Iterator[tuple[OperatorRoom, TaskLog]]:
    """A room with an operator and a node, and Kueue beside it."""
    postgres, redis = PostgresServer().start(), RedisServer().start()
    try:
        with serving_definitions(controller_manager=True) as plane:
            room = OperatorRoom(plane, postgres.new_database(ledger=False), redis.url, folder)
            kueue = Kueue(plane).start()
            node = _node(plane, room, folder)
            try:
                for manifest in one_queue(room.namespace, pods=QUOTA):
                    done = plane.kubectl("apply", "-f", "-", given=manifest)
                    assert done.returncode == 0, done.stderr
                room.operator()
                yield room, TaskLog(folder / "tasks.log")
            finally:
                room.close()
                node.stop()
                kueue.stop()
    finally:
        redis.stop()
        postgres.stop()


def _node(plane: KubeControlPlane, room: OperatorRoom, folder: Path) -> Server:
    command = [
        sys.executable,
        "-m",
        "tests.chaos.kubelet",
        str(plane.kubeconfig),
        str(folder),
        room.namespace,
    ]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(str(ROOT / part) for part in ("", "operator", "jobimages")),
        tasks.LOG_VARIABLE: str(folder / "tasks.log"),
    }
    node = Server(command, folder / "node.log", environment)
    node.start(lambda: plane.request("GET", "/api/v1/nodes/node-1")[0] == 200, 30)
    return node


def prove(room: OperatorRoom, log: TaskLog) -> dict[str, Any]:
    """Raises AssertionError where something did not hold; returns what was seen."""
    room.sql(_TABLE)
    template = {"image": "registry.example/exports:1", "metadata": {"labels": {QUEUE_NAME: "rows"}}}
    room.create(
        exit_queue(
            "exports",
            tasks=["export"],
            template=template,
            parallelism=ROWS,
            startingDeadlineSeconds=DEADLINE_SECONDS,
        )
    )
    columns = ["id", "source", "customer", "kind", "millis"]
    room.create(
        row_source(
            "exports", table="public.exports", columns=columns, task="export", statusColumn=STATUS_COLUMN,
            workQueueRef={"name": "exports"},
        )
    )  # fmt: skip
    found: dict[str, Any] = {"quota": QUOTA, "rows": ROWS, "starting_deadline_seconds": DEADLINE_SECONDS}
    with Shapes(room) as shapes:
        room.sql(
            "insert into exports(id, millis) select n, %s from generate_series(1, %s) n", RUN_MILLIS, ROWS
        )
        wait_until(lambda: len(_suspended(room, False)) == QUOTA, "Kueue admits two kube jobs", 60)
        wait_until(lambda: len(_suspended(room, True)) == ROWS - QUOTA, "and holds two", 30)
        held, began = set(_suspended(room, True)), time.monotonic()
        wait_until(lambda: time.monotonic() > began + DEADLINE_SECONDS + 5, "longer than the deadline", 60)
        assert held <= set(_suspended(room, True)), "a held kube job was deleted or made anew"
        found["held"] = {"seconds": round(time.monotonic() - began, 1), "conditions": _conditions(room)}
        assert "HeldByOthers" in {each["reason"] for each in found["held"]["conditions"]}, found["held"]
        wait_until(lambda: _beginnings(log) == QUOTA, "two programs run", 30)
        found["preempted"] = _preempt(room, shapes)
        wait_until(
            lambda: room.sql("select count(*) from exports where status = 'done'")[0][0] == ROWS,
            "every row is done",
            240,
        )
        wait_until(lambda: not room.kube_jobs(), "every kube job is cleared away", 60)
    _judge(room, log, shapes, held, found)
    return found


def _preempt(room: OperatorRoom, shapes: Shapes) -> dict[str, Any]:
    """Somebody else's urgent kube job takes a place of one that runs, and gives it back."""
    running = set(_suspended(room, False))
    container = {"name": "main", "image": "registry.example/urgent:1", "resources": {}}
    urgent = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "urgent", "labels": {QUEUE_NAME: "rows", PRIORITY_CLASS: "urgent"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    room.must("POST", _JOBS.format(room.namespace), urgent)
    told = (
        "select failure->>'class', failure->>'reason', failure->>'message' from rowlock.run"
        " where failure is not null"
    )
    wait_until(
        lambda: any(any(one["suspend"] for one in shapes.of[uid]) for uid in running),
        "one of ours is suspended",
        60,
    )
    wait_until(lambda: room.sql(told), "the preempted attempt is recorded", 60)
    failures = [dict(zip(("class", "reason", "message"), row, strict=True)) for row in room.sql(told)]
    wait_until(
        lambda: any(attempt == 2 for _, attempt in shapes.attempt.values()),
        "its next attempt has a kube job",
        60,
    )
    room.must("DELETE", f"{_JOBS.format(room.namespace)}/urgent", {"propagationPolicy": "Background"})
    return {"recorded": failures}


def _judge(room: OperatorRoom, log: TaskLog, shapes: Shapes, held: set[str], found: dict[str, Any]) -> None:
    begun = Counter((line.run, line.attempt) for line in log.read() if line.what == "begin")
    ends = Counter(line.run for line in log.lines if line.what == "end")
    found["kube_jobs_made"], found["attempts_begun"] = len(shapes.attempt), sum(begun.values())
    found["runs"] = room.sql("select state, count(*)::int from rowlock.done group by state")
    found["shapes"] = {
        "held until admitted": next((shapes.of[uid] for uid in held), []),
        "preempted": next((seen for seen in shapes.of.values() if _was_preempted(seen)), []),
    }
    assert max(begun.values()) == 1, f"an attempt began twice: {begun}"
    assert len(ends) == ROWS, f"{ends} came to their end"
    assert all(shapes.attempt[uid][1] == 1 for uid in held), "a held kube job is of another attempt"
    assert len(shapes.attempt) == ROWS + 1, (
        f"{len(shapes.attempt)} kube jobs were made for {ROWS} rows and one preemption"
    )
    assert found["runs"] == [("succeeded", ROWS)], found["runs"]
    recorded = {(each["class"], each["reason"]) for each in found["preempted"]["recorded"]}
    assert recorded == {("infra", "JobSuspended")}, found["preempted"]


def _was_preempted(seen: list[Manifest]) -> bool:
    states = [one["suspend"] for one in seen]
    return False in states and True in states[states.index(False) :]


def _suspended(room: OperatorRoom, suspended: bool) -> list[str]:
    ours = [job for job in room.kube_jobs() if "rowlock.dev/run" in job["metadata"]["labels"]]
    return [job["metadata"]["uid"] for job in ours if bool(job["spec"].get("suspend")) == suspended]


def _conditions(room: OperatorRoom) -> list[dict[str, str]]:
    conditions = room.get("WorkQueue", "exports").get("status", {}).get("conditions", [])
    return [
        {name: each.get(name, "") for name in ("type", "status", "reason", "message")} for each in conditions
    ]


def _beginnings(log: TaskLog) -> int:
    return sum(line.what == "begin" for line in log.read())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", help="writes the result there")
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="rowlock-kueue-") as folder,
        installation(Path(folder)) as (room, log),
    ):
        try:
            found = prove(room, log)
        except AssertionError:
            print(room.operators[0].log.read_text()[-3000:], file=sys.stderr)
            print((room.plane.folder / "kueue.log").read_text()[-3000:], file=sys.stderr)
            raise
    print(json.dumps(found, indent=1))
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
