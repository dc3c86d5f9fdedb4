"""Kube jobs without a pod: Kubernetes tells of a refused pod in Events only, so its absence is the sign."""

from datetime import UTC, datetime, timedelta

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.outcome import Failed, decide_outcome
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.queues import PodProblem
from rowlock_operator.status.pod_problems import missing_pods
from tests.services.manifests import exit_queue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def kube_job(name: str, *, age_seconds: float) -> KubeJobSeen:
    created_at = NOW - timedelta(seconds=age_seconds)
    return KubeJobSeen(
        name=name,
        namespace="default",
        uid=name,
        work_queue="resize",
        run_id=name,
        attempt=1,
        created_at=created_at,
    )


def test_a_pod_that_is_late_is_a_problem_and_one_that_may_still_come_is_none() -> None:
    assert missing_pods([], NOW) == ()
    assert missing_pods([kube_job("young", age_seconds=9)], NOW) == ()
    late = [kube_job("b", age_seconds=11), kube_job("a", age_seconds=60), kube_job("young", age_seconds=1)]
    assert missing_pods(late, NOW) == (PodProblem(kind="NoPod", message="a", count=2),)


def test_a_run_whose_pod_never_came_says_who_may_have_refused_it() -> None:
    spec = WorkQueue.parse(exit_queue(startingDeadlineSeconds=30)).spec
    assert decide_outcome(spec, kube_job=kube_job("j", age_seconds=29), pod=None, now=NOW) is None
    found = decide_outcome(spec, kube_job=kube_job("j", age_seconds=31), pod=None, now=NOW)
    assert isinstance(found, Failed)
    assert (found.failure_class, found.reason, found.running) == ("infra", "NotStarted", True)
    assert "ResourceQuota" in found.message
