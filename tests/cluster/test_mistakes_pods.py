"""What a cluster refuses or ends: quotas, memory, pods that do not stop. Each is told with its remedy, and
ends within its time.
"""

from collections.abc import Iterator

import pytest

from tests.cluster.applications import exit_queue, workers_queue
from tests.cluster.conftest import MakeApplication
from tests.cluster.release import Object, Release, condition
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
CLASS = "faults-quota"
ONCE = {name: {"limit": 0, "backoffSeconds": 1, "maxBackoffSeconds": 1} for name in ("infra", "app")}
DEAF = 'trap "" TERM; while :; do sleep 1; done'


@pytest.fixture
def one_pod(release: Release) -> Iterator[str]:
    """A priority class of which the namespace may have one pod: a quota that concerns nobody else."""
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [CLASS]}]}
    release.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": CLASS},
            "value": 1,
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": CLASS},
            "spec": {"hard": {"pods": "1"}, "scopeSelector": selector},
        },
    )
    yield CLASS
    release.delete("resourcequota", CLASS)
    release.delete("priorityclass", CLASS)


def degraded(release: Release, queue: str, reason: str, deadline_seconds: float = 40) -> str:
    """Waits until the WorkQueue says so; the message."""
    last: Object = {}

    def said() -> bool:
        nonlocal last
        last = condition(release.find("workqueues", queue), "Degraded")
        return last.get("reason") == reason

    try:
        wait_until(said, f"{queue} says {reason}", deadline_seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {last}") from None
    return str(last["message"])


def test_workers_that_a_quota_refuses_are_told_and_the_one_that_fits_works(
    release: Release, one_pod: str, application: MakeApplication
) -> None:
    queue = workers_queue("faults-quota", scaling={"min": 2, "max": 2})
    queue["spec"]["template"]["priorityClassName"] = one_pod
    release.apply(queue)
    app = application("quota", queue="faults-quota")
    app.open_gate()
    app.insert(1, 5)
    message = degraded(release, "faults-quota", "QuotaExceeded")
    assert "exceeded quota: faults-quota" in message
    assert "Raise the quota or lower scaling.max" in message
    wait_until(lambda: app.statuses() == {"done": 5}, "the worker that fits does the work", 60)
    release.delete("workqueue", "faults-quota")


def test_kube_jobs_whose_pods_a_quota_refuses_are_told_and_wait_for_their_turn(
    release: Release, one_pod: str, application: MakeApplication
) -> None:
    release.apply(exit_queue("faults-quota-exit", template={"priorityClassName": one_pod}, parallelism=2))
    app = application("quota-exit", queue="faults-quota-exit")
    app.insert(1, 2)
    wait_until(lambda: app.count("running") == 1, "one of them runs", 60)
    message = degraded(release, "faults-quota-exit", "PodsNotMade")
    assert "1 Kubernetes Jobs have no pod, such as faults-quota-exit-" in message
    assert "ResourceQuota" in message
    assert app.count("launching") == 1
    app.let_go()
    wait_until(lambda: app.statuses().get("done") == 1, "the first is done", 30)
    wait_until(lambda: app.count("running") == 1, "the place is the other one's now", 90)
    app.let_go()
    wait_until(lambda: app.statuses() == {"done": 2}, "both are done", 30)
    assert app.runs("state", "attempt") == [["succeeded", "1"]] * 2
    release.delete("workqueue", "faults-quota-exit")


def test_a_pod_that_the_kernel_ends_for_its_memory_is_the_platforms_failure_with_its_remedy(
    release: Release, application: MakeApplication
) -> None:
    template = {
        "args": ["exec python3 -c 'x = bytearray(400_000_000); print(len(x))'"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "48Mi"}},
    }
    release.apply(exit_queue("faults-memory", template=template, retry=ONCE))
    app = application("memory", queue="faults-memory")
    app.insert(1)
    wait_until(lambda: app.count("dead") == 1, "the run is dead", 60)
    words = app.runs("failure->>'class'", "failure->>'reason'", "failure->>'message'")
    assert words == [
        [
            "infra",
            "OutOfMemory",
            "the container ran out of memory (limit 48Mi): raise spec.template.resources.limits.memory",
        ]
    ]
    wait_until(lambda: app.statuses() == {"failed": 1}, "the row is told")
    degraded = lambda: condition(release.find("workqueues", "faults-memory"), "Degraded")  # noqa: E731
    wait_until(
        lambda: degraded().get("reason") in ("DeadLetters", "OutOfMemory"), "its condition says so", 20
    )
    release.delete("workqueue", "faults-memory")


def test_a_pod_that_ignores_sigterm_keeps_no_run_open_and_is_gone_after_its_grace(
    release: Release, application: MakeApplication
) -> None:
    template = {"args": [DEAF]}
    limits = {"softSeconds": 5, "hardSeconds": 10}
    release.apply(
        exit_queue("faults-deaf", template=template, retry=ONCE),
        exit_queue("faults-deaf-limit", template=template, limits=limits, retry=ONCE),
    )
    canceled, limited = (
        application("deaf", queue="faults-deaf"),
        application("deaf-limit", queue="faults-deaf-limit"),
    )
    canceled.insert(1)
    limited.insert(1)
    wait_until(lambda: canceled.count("running") == 1, "it runs", 60)
    release.rowlock("cancel", *(run for (run,) in canceled.runs("id")))
    wait_until(lambda: canceled.count("canceled") == 1, "a cancel does not wait for the pod", 10)
    wait_until(lambda: limited.count("dead") == 1, "nor does the hard limit", 30)
    assert limited.runs("failure->>'class'", "failure->>'reason'") == [["app", "HardTimeLimit"]]

    def left() -> list[Object]:
        return release.objects("pods", "rowlock.dev/work-queue in (faults-deaf, faults-deaf-limit)")

    wait_until(lambda: not left(), "both pods are gone after the grace period", 90)
    release.delete("workqueue", "faults-deaf", "faults-deaf-limit")
