"""From the commit of a row to its kube job: a real operator process and a real kube-apiserver without
controllers and nodes.

The kube job is there when its line of a watch has been read.
"""

import random
import time

from tests.bench.frame import Bench, Target, percentile
from tests.bench.kube_stage import JobWatch, bare_control_plane, commit_row, stage
from tests.services.operator_room import OperatorRoom

NAME = "kube_jobs"
KEYS = {
    "row_to_job_ms_p50": Target("commit of a row to its Kubernetes Job: median", "ms", "lower", 50, 20),
    "row_to_job_ms_p99": Target("the same: 99 %", "ms", "lower", 250, 50),
    "burst_200_jobs_s": Target("200 rows at once: until 200 Jobs exist", "s", "lower", 2, 0.7),
}


def measure(bench: Bench) -> dict[str, float]:
    samples, burst = (5, 10) if bench.quick else (200, 200)
    with bare_control_plane() as plane, stage(bench, plane) as (room, watch):
        spent = one_by_one(room, watch, samples)
        at = commit_row(room, burst)
        last = max(watch.next() for _ in range(burst))
    return {
        "row_to_job_ms_p50": percentile(spent, 50),
        "row_to_job_ms_p99": percentile(spent, 99),
        "burst_200_jobs_s": (last - at) / 1e9,
    }


def one_by_one(room: OperatorRoom, watch: JobWatch, samples: int) -> list[float]:
    """Milliseconds of each row; the next comes after a random pause, so that no row meets the poll in the
    same phase.
    """
    spent = []
    for _ in range(samples):
        at = commit_row(room)
        spent.append((watch.next() - at) / 1e6)
        time.sleep(random.uniform(0.02, 0.1))
    return sorted(spent)
