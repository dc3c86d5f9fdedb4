"""From the commit of a row to the first line of code in its kube job's pod, against a bare Job create: real
cluster, real kubelet.

The operator is a process beside the cluster. Samples alternate, so that both meet the same machine; the pod's
first line is its own clock, which is ours, since the node is this machine. The cluster is taken as it is if
it is up (ROWLOCK_BENCH_CLUSTER, default bench).
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import config

from tests.bench.frame import Bench, Target, percentile
from tests.bench.kube_stage import JobWatch, commit_row, stage
from tests.services.kube import install_definitions
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.real_cluster import run_module
from tools.cluster.programs import ensure_programs

NAME = "pods"
ROUNDS = 1  # it starts a cluster
KEYS = {
    "row_to_pod_code_ratio": Target(
        "commit of a row to the first line in its Job's pod, by that of a bare Job: medians",
        "x",
        "lower",
        1.15,
        1.05,
    ),
    "row_to_pod_code_ms_p50": Target(
        "commit of a row to the first line in its Job's pod: median", "ms", "lower"
    ),
    "bare_job_to_pod_code_ms_p50": Target("the same for a bare Job, from its POST: median", "ms", "lower"),
    "row_to_job_host_ms_p50": Target(
        "commit of a row to its Job on the real cluster: median", "ms", "lower", 50, 20
    ),
    "row_to_job_host_ms_p99": Target("the same: 99 %", "ms", "lower", 250, 50),
}
IMAGE = "python:3.13-slim-trixie"
COMMAND = ["sh", "-c", "date +%s%N > /dev/termination-log"]


def measure(bench: Bench) -> dict[str, float]:
    samples = 2 if bench.quick else 30
    with (
        _cluster(bench) as plane,
        stage(
            bench, plane, template={"image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": COMMAND}
        ) as (
            room,
            watch,
        ),
    ):
        rows, jobs, bare = [], [], []
        for number in range(samples):
            at = commit_row(room)
            jobs.append((watch.next() - at) / 1e6)
            rows.append((_result_of_newest(room) - at) / 1e6)
            bare.append(_bare_job(room, watch, f"bare-{number}"))
            bench.say(
                f"{number + 1} of {samples}: row {rows[-1]:.0f} ms (its Job {jobs[-1]:.0f} ms), bare Job"
                f" {bare[-1]:.0f} ms"
            )
    return {
        "row_to_pod_code_ratio": statistics.median(rows) / statistics.median(bare),
        "row_to_pod_code_ms_p50": statistics.median(rows),
        "bare_job_to_pod_code_ms_p50": statistics.median(bare),
        "row_to_job_host_ms_p50": statistics.median(jobs),
        "row_to_job_host_ms_p99": percentile(sorted(jobs), 99),
    }


def _result_of_newest(room: OperatorRoom) -> int:
    """Nanoseconds that the pod of the newest run wrote, once the run has ended."""

    def result() -> Any:
        found = room.sql("select state, result from rowlock.run order by created_at desc limit 1")
        return found[0][1] if found and found[0][0] == "succeeded" else None

    return int(str(wait_until(result, "the run has succeeded", 60)))


def _bare_job(room: OperatorRoom, watch: JobWatch, name: str) -> float:
    """Milliseconds from the POST of a Job to the first line in its pod."""
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": COMMAND}
    spec = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    at = time.time_ns()
    watch.batch.create_namespaced_job(room.namespace, body)
    watch.next()

    def stamp() -> str:
        for pod in room.pods(name):
            for status in pod["status"].get("containerStatuses", []):
                if "terminated" in status["state"]:
                    return str(status["state"]["terminated"]["message"])
        return ""

    written = int(str(wait_until(stamp, "the bare Job's pod has ended", 60)))
    watch.batch.delete_namespaced_job(name, room.namespace, propagation_policy="Background")
    return (written - at) / 1e6


class HostPlane:
    """A real cluster's API server, as OperatorRoom wants it."""

    with_controller_manager = True

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._api = config.new_client_from_config(str(kubeconfig))

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One call as administrator: the HTTP status and the answer."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        answer = self._api.rest_client.request(
            method, self._api.configuration.host + path, headers=headers, body=body
        )
        raw = answer.read()
        return int(answer.status), json.loads(raw) if raw[:1] in (b"{", b"[") else raw.decode()

    def kubectl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        program = str(ensure_programs(("kubernetes",))["kubectl"])
        command = [program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def _cluster(bench: Bench) -> Iterator[HostPlane]:
    """The cluster; ended afterwards if it was started here."""
    name = os.environ.get("ROWLOCK_BENCH_CLUSTER", "bench")
    was_up = run_module("tools.cluster", "status", "--name", name, timeout_seconds=60).returncode == 0
    bench.say(f"cluster {name}" + ("" if was_up else " is started"))
    try:
        for words in (("up",), ("base-images",)):
            done = run_module("tools.cluster", *words, "--name", name, timeout_seconds=1500)
            assert done.returncode == 0, done.stdout + done.stderr
        plane = HostPlane(
            Path(run_module("tools.cluster", "kubeconfig", "--name", name, timeout_seconds=60).stdout.strip())
        )
        install_definitions(plane)
        yield plane
    finally:
        if not was_up:
            run_module("tools.cluster", "down", "--name", name, timeout_seconds=120)
