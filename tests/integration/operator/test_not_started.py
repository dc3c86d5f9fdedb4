"""Kube jobs that do not start, and ones that somebody else holds: the real job controller and no kubelet.

Eight hours of it pass in virtual time in tests/integration/cluster_room/test_shortage.py.
"""

from typing import Any

import pytest

from tests.integration.operator.orders import uids
from tests.integration.operator.test_kube_jobs import SOURCE, ended, pod_of, running, wait_state
from tests.services.manifests import exit_queue
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NO_BUDGET = {"infra": {"limit": 0, "backoffSeconds": 1, "maxBackoffSeconds": 1}}


def begin(room: OperatorRoom, rows: int, deadline_seconds: int = 10, **spec: Any) -> None:
    create_orders(room.url, rows=rows)
    room.create(exit_queue("resize", retry=NO_BUDGET, startingDeadlineSeconds=deadline_seconds, **spec))
    room.create(SOURCE)
    room.operator(ready=False)


def patch(room: OperatorRoom, kube_job: str, suspend: bool) -> None:
    path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{kube_job}"
    room.must("PATCH", path, {"spec": {"suspend": suspend}}, content_type="application/merge-patch+json")


def test_while_nothing_starts_one_kube_job_probes_no_try_is_used_and_the_first_start_opens_the_queue(
    room: OperatorRoom,
) -> None:
    begin(room, rows=6, deadline_seconds=5, parallelism=4)
    wait_until(lambda: len(room.kube_jobs()) == 4, "as many as parallelism says", 40)
    condition = room.wait_condition(
        "WorkQueue", "resize", "Degraded", status="True", reason="NotStarted", deadline_seconds=60
    )
    assert "No run loses a try" in condition["message"]
    assert room.condition("WorkQueue", "resize")["status"] == "False"

    def probe() -> str | None:
        jobs = room.kube_jobs()
        pods = room.pods(jobs[0]["metadata"]["name"]) if len(jobs) == 1 else []
        return str(pods[0]["metadata"]["name"]) if pods else None

    assert room.sql("select distinct infra_tries + app_tries + site_tries from rowlock.run") == [(0,)]
    wait_until(probe, "the pod of the only kube job", 60)

    def room_again() -> bool:
        """Nodes have come: whatever pod there is starts."""
        for pod in room.pods():
            if pod["status"]["phase"] == "Pending" and "deletionTimestamp" not in pod["metadata"]:
                room.kubelet_writes(pod["metadata"]["name"], "Running", running())
        return [state for _, state, *_ in room.runs()].count("running") == 4

    wait_until(room_again, "one started, and so do as many as parallelism says", 60)
    assert room.sql(
        "select count(*)::int from rowlock.run where state in ('pending', 'launching', 'running')"
    ) == [(6,)]


def test_a_kube_job_that_somebody_suspended_is_waited_for_and_told(room: OperatorRoom) -> None:
    begin(room, rows=1)
    pod_of(room)
    before = uids(room)
    (name,) = before
    patch(room, name, suspend=True)
    condition = room.wait_condition(
        "WorkQueue", "resize", "Throttled", status="True", reason="HeldByOthers", deadline_seconds=20
    )
    assert name in condition["message"]
    log = room.leader()
    seen = len(log.events("kube_run_not_started"))
    wait_until(
        lambda: (
            room.sql("select claimed_at < clock_timestamp() - interval '12 s' from rowlock.run") == [(True,)]
        ),
        "12 s",
        40,
    )
    assert (uids(room), len(log.events("kube_run_not_started"))) == (before, seen), (
        "neither deleted nor made anew"
    )
    patch(room, name, suspend=False)
    room.kubelet_writes(pod_of(room), "Running", running())
    wait_state(room, "running")
    room.kubelet_writes(pod_of(room), "Succeeded", ended(0, "held, then run"))
    assert wait_state(room, "succeeded") == (1, {"message": "held, then run"}, {})


def test_a_canceled_run_takes_its_suspended_kube_job_with_it(room: OperatorRoom) -> None:
    begin(room, rows=1)
    pod_of(room)
    (name,) = uids(room)
    patch(room, name, suspend=True)
    room.wait_condition(
        "WorkQueue", "resize", "Throttled", status="True", reason="HeldByOthers", deadline_seconds=20
    )
    room.sql("select rowlock.cancel_v1(array(select id from rowlock.active), 'CanceledByUser')")
    wait_state(room, "canceled")
    wait_until(lambda: room.kube_jobs() == [], "its kube job is gone", 20)
