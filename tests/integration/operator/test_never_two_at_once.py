"""Exit queues on nodes that do not answer, beside injected containers, and while the operator is away: no run
has two processes at once, and finished work is not done again.

There is no kubelet: the test writes what a kubelet would write, and where a node is lost, nobody does.
"""

from typing import Any

import pytest

from tests.integration.operator.test_kube_jobs import RETRY, SOURCE, ended, pod_of, running, wait_state
from tests.services.manifests import exit_queue
from tests.services.operator_room import MERGE, OperatorRoom, counted_for
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.rows import create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NODE = "worker-7"
# What is otherwise in the operator.
QUICK = (
    "import datetime, rowlock_operator.observed.pods as p\np.CONFIRMED_WITHIN ="
    " datetime.timedelta(seconds=1)\n"
)
UNGUARDED = (
    QUICK + "from rowlock_operator.dispatch.kube_job_creation import KubeJobCreation\nKubeJobCreation._held ="
    " lambda *_, **__: set()\n"
)


def launched(room: OperatorRoom, otherwise: str = "", **spec: Any) -> str:
    """One row of an Exit queue and the operator that launched it; the name of the pod."""
    create_orders(room.url, rows=1)
    room.create(exit_queue("resize", retry=RETRY, **spec))
    room.create(SOURCE)
    room.operator(ready=False, otherwise=otherwise)
    return pod_of(room)


def lose_the_node_of(room: OperatorRoom, pod: str) -> None:
    """The pod runs, its node falls silent, the taint manager deletes the pod, and nobody confirms."""
    pods = f"/api/v1/namespaces/{room.namespace}/pods/{pod}"
    room.plane.request(
        "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    )
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
    }
    room.must("POST", f"{pods}/binding", binding)
    room.kubelet_writes(pod, "Running", running())
    wait_state(room, "running")
    taint = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "deleting due to NoExecute taint",
    }
    room.must("PATCH", f"{pods}/status", {"status": {"conditions": [taint]}}, content_type=MERGE)
    room.must("DELETE", pods, {"gracePeriodSeconds": 1})


def tries(room: OperatorRoom) -> list[tuple[Any, ...]]:
    return room.sql(
        "select state, attempt, infra_tries, app_tries, failure->>'class', failure->>'reason' from"
        " rowlock.run"
    )


def test_a_run_on_a_lost_node_is_the_platforms_failure_and_starts_anew_only_once_its_pod_is_gone(
    room: OperatorRoom,
) -> None:
    pod = launched(room, QUICK)
    lose_the_node_of(room, pod)
    wait_until(
        lambda: tries(room) == [("launching", 2, 0, 0, "infra", "NodeLost")],
        "it is the next attempt's turn, which used no try",
        30,
    )
    condition = room.wait_condition(
        "WorkQueue", "resize", "Degraded", status="True", reason="NodeLost", deadline_seconds=40
    )
    assert (pod in condition["message"], NODE in condition["message"]) == (True, True)
    # Longer than the launcher takes to miss a kube job (3 s) and to look again (2 s).
    assert counted_for(6, lambda: len(room.kube_jobs())) == 0
    assert [one["metadata"]["name"] for one in room.pods()] == [pod]
    room.must("DELETE", f"/api/v1/namespaces/{room.namespace}/pods/{pod}", {"gracePeriodSeconds": 0})
    room.kubelet_writes(pod_of(room, 2), "Succeeded", ended(0))
    assert wait_state(room, "succeeded")[0] == 2


def test_without_the_guard_a_lost_node_and_another_run_it_at_once(room: OperatorRoom) -> None:
    pod = launched(room, UNGUARDED)
    lose_the_node_of(room, pod)
    assert pod_of(room, 2) != pod
    assert pod in [one["metadata"]["name"] for one in room.pods()], "the first may run still"


def test_an_injected_container_that_goes_on_holds_up_no_outcome_and_what_the_ledger_refuses_is_replaced(
    room: OperatorRoom,
) -> None:
    pod = launched(room)
    room.sql("alter table rowlock.done add constraint odd check (result::text not like '%indigestible%')")
    main = {"name": "main", "state": ended(0, '{"said": "indigestible"}', "Completed")}
    proxy = {"name": "istio-proxy", "state": running()}
    both = [
        {**one, "image": "x:1", "imageID": "", "ready": False, "restartCount": 0} for one in (proxy, main)
    ]
    body = {"status": {"phase": "Running", "containerStatuses": both}}
    room.must("PATCH", f"/api/v1/namespaces/{room.namespace}/pods/{pod}/status", body, content_type=MERGE)
    assert wait_state(room, "succeeded") == (
        1,
        {"message": "what it said cannot be stored in the ledger"},
        {},
    )
    wait_until(lambda: statuses(room.url) == {"done": 1}, "the row is told")
    wait_until(lambda: room.kube_jobs() == [], "the kube job is cleared away, and the proxy with it", 20)


def test_a_finished_kube_job_waits_for_an_operator_that_is_away_for_longer_than_any_ttl(
    room: OperatorRoom,
) -> None:
    pod = launched(room, ttlSeconds=0)
    room.kill(room.leader())
    room.kubelet_writes(pod, "Succeeded", ended(0, "well done"))
    wait_until(
        lambda: any(c["type"] == "Complete" for c in room.kube_jobs()[0]["status"].get("conditions", [])),
        "it is complete",
        20,
    )
    assert counted_for(3, lambda: len(room.kube_jobs())) == 0, (
        "a TTL of 0 would have taken it within a second"
    )
    room.operator(ready=False)
    assert wait_state(room, "succeeded", 40) == (1, {"message": "well done"}, {})
    wait_until(lambda: room.kube_jobs() == [], "now it may go", 20)


def test_a_kube_job_that_may_not_be_deleted_gets_its_ttl_once_its_outcome_is_recorded(
    room: OperatorRoom,
) -> None:
    policies, name = "/apis/admissionregistration.k8s.io/v1", room.namespace
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["DELETE"]}
    only_here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": room.namespace}}}
    policy = {
        "matchConstraints": {"resourceRules": [jobs]},
        "validations": [{"expression": "false", "message": "jobs are kept here"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": only_here}
    for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)):
        plural = "validatingadmissionpolicies" if spec is policy else "validatingadmissionpolicybindings"
        made = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        room.must("POST", f"{policies}/{plural}", made)
    try:
        pod = launched(room, ttlSeconds=4321)
        path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{room.kube_jobs()[0]['metadata']['name']}"
        wait_until(
            lambda: room.plane.request("DELETE", f"{path}?dryRun=All")[0] == 422, "the policy holds", 20
        )
        assert "ttlSecondsAfterFinished" not in room.kube_jobs()[0]["spec"]
        room.kubelet_writes(pod, "Succeeded", ended(0))
        wait_state(room, "succeeded")
        wait_until(
            lambda: room.kube_jobs()[0]["spec"].get("ttlSecondsAfterFinished") == 4321,
            "Kubernetes will delete it",
            20,
        )
    finally:
        room.plane.request("DELETE", f"{policies}/validatingadmissionpolicybindings/{name}")
        room.plane.request("DELETE", f"{policies}/validatingadmissionpolicies/{name}")


def test_the_end_of_a_pod_that_an_earlier_kube_job_of_the_attempt_left_is_not_taken_for_its_own(
    room: OperatorRoom,
) -> None:
    """Somebody deleted the kube job before it ran; its pod has ended with an error, and stays for a finalizer
    of somebody else's.
    """
    pod = launched(room)
    pods = f"/api/v1/namespaces/{room.namespace}/pods"
    room.must(
        "PATCH", f"{pods}/{pod}", {"metadata": {"finalizers": ["example.org/keeps"]}}, content_type=MERGE
    )
    job = room.kube_jobs()[0]["metadata"]
    room.leader().kill()
    room.must(
        "DELETE",
        f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{job['name']}",
        {"propagationPolicy": "Orphan"},
    )
    room.kubelet_writes(pod, "Failed", ended(9, "of the deleted one"))
    wait_until(lambda: room.kube_jobs() == [], "it is gone", 20)
    room.operator(ready=False)
    wait_until(
        lambda: room.kube_jobs() and room.kube_jobs()[0]["metadata"]["uid"] != job["uid"],
        "it is made again",
        40,
    )
    wait_until(lambda: len(room.pods()) == 2, "both pods are there", 20)
    own = next(one["metadata"]["name"] for one in room.pods() if one["metadata"]["name"] != pod)
    room.kubelet_writes(own, "Succeeded", ended(0, "its own"))
    assert wait_state(room, "succeeded", 40) == (1, {"message": "its own"}, {})


def test_a_ledger_that_hangs_holds_up_the_outcomes_of_no_other(
    room: OperatorRoom, own_postgres: PostgresServer
) -> None:
    url = own_postgres.new_database(ledger=False)
    room.secret("other", url=url, workerUrl=url)
    room.create(exit_queue("elsewhere", databaseRef={"secretName": "other"}))
    pod = launched(room)
    room.wait_condition("WorkQueue", "elsewhere", status="True", deadline_seconds=40)
    with connect(url) as holder:
        holder.execute("begin; lock table rowlock.active in access exclusive mode")
        waiting = "select from pg_locks where not granted and relation = 'rowlock.active'::regclass"
        wait_until(lambda: holder.execute(waiting) or holder.rowcount, "somebody waits for it", 20)
        counted_for(3, lambda: 0)  # a look at it hangs by now
        room.kubelet_writes(pod, "Succeeded", ended(0))
        wait_state(room, "succeeded", 5)


def test_an_outcome_that_cannot_be_recorded_at_the_moment_is_not_lost(room: OperatorRoom) -> None:
    pod = launched(room)
    room.sql("alter table rowlock.done add constraint odd check (state <> 'succeeded')")
    room.kubelet_writes(pod, "Succeeded", ended(0, "well done"))
    log = room.leader().log
    wait_until(lambda: "kube_run_not_tended" in log.read_text(), "it was refused", 30)
    assert [job["metadata"]["labels"]["rowlock.dev/attempt"] for job in room.kube_jobs()] == ["1"], (
        "it stays until it is known"
    )
    room.sql("alter table rowlock.done drop constraint odd")
    assert wait_state(room, "succeeded") == (1, {"message": "well done"}, {})
