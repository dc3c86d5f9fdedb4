"""From a kube job and its pod, as the API server sends them, to the outcome of the attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api.parse import parse_work_queue
from rowlock_operator.decide.outcome import Failed, Outcome, Started, Succeeded, decide_outcome
from rowlock_operator.observed.kube_jobs import observe_kube_job
from rowlock_operator.observed.pods import observe_pod
from tests.services.manifests import exit_queue, sdk_queue

CREATED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STARTED = CREATED + timedelta(seconds=3)
SOON = CREATED + timedelta(seconds=10)
EXIT = parse_work_queue(exit_queue(limits={"softSeconds": 30, "hardSeconds": 60}, startingDeadlineSeconds=100)).spec
SDK = parse_work_queue(sdk_queue(limits={"softSeconds": 30, "hardSeconds": 60}, startingDeadlineSeconds=100)).spec


def kube_job(condition: str = "", reason: str = "", message: str = "", **labels: str) -> dict[str, Any]:
    status: dict[str, Any] = {}
    if condition:
        status["conditions"] = [{"type": condition, "status": "True", "reason": reason, "message": message}]
    named = {"rowlock.dev/work-queue": "resize", "rowlock.dev/run": "r", "rowlock.dev/attempt": "1", **labels}
    metadata = {"name": "j", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T12:00:00Z", "labels": named}
    return {"metadata": metadata, "status": status}


def pod(phase: str, *, state: dict[str, Any] | None = None, conditions: tuple[dict[str, Any], ...] = (), **status: Any) -> dict[str, Any]:
    containers = [{"name": "main", "state": state}] if state is not None else []
    metadata = {"name": "p", **({"deletionTimestamp": "x"} if status.pop("deleting", False) else {})}
    return {"metadata": metadata, "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status}}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, "startedAt": "2026-01-01T12:00:03Z"}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def disrupted(reason: str, message: str = "") -> dict[str, Any]:
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}


RUNNING = {"running": {"startedAt": "2026-01-01T12:00:03Z"}}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: insufficient memory"}


def decide(job: dict[str, Any], of: dict[str, Any] | None, *, after: timedelta = timedelta(seconds=10), spec: Any = EXIT) -> Outcome | None:
    seen = observe_kube_job(job)
    assert seen is not None
    return decide_outcome(spec, kube_job=seen, pod=None if of is None else observe_pod(of), now=CREATED + after)


def test_nothing_is_known_before_the_pod_exists() -> None:
    assert decide(kube_job(), None) is None
    assert decide(kube_job(), pod("Pending", state=waiting("ContainerCreating"))) is None


def test_a_running_container_has_started_at_its_own_instant() -> None:
    assert decide(kube_job(), pod("Running", state=RUNNING)) == Started(at=STARTED)


@pytest.mark.parametrize(
    ("message", "result"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param('{"pages": 3}', {"pages": 3}, id="an object"),
        pytest.param("[1, 2]", [1, 2], id="a list"),
        pytest.param("resized 3 pictures\n", {"message": "resized 3 pictures"}, id="text"),
        pytest.param('{"a": NaN}', {"message": '{"a": NaN}'}, id="not quite JSON"),
        pytest.param('"\\u0000"', {"message": '"\\u0000"'}, id="a NUL that jsonb refuses"),
        pytest.param('"\\ud800"', {"message": '"\\ud800"'}, id="half a character that jsonb refuses"),
    ],
)
def test_exit_code_0_is_success_with_the_termination_message_as_result(message: str, result: Any) -> None:
    assert decide(kube_job(), pod("Succeeded", state=ended(0, message, "Completed"))) == Succeeded(result=result, started_at=STARTED)


def test_a_complete_kube_job_whose_pod_is_gone_has_succeeded() -> None:
    assert decide(kube_job("Complete"), None) == Succeeded(result={})


POLICY_EXIT = ("Failed", "PodFailurePolicy", "Container main for pod default/p failed with exit code 3 matching FailJob rule at index 1")
POLICY_KILL = ("Failed", "PodFailurePolicy", "Container main for pod default/p failed with exit code 137 matching FailJob rule at index 1")
POLICY_DISRUPTION = ("Failed", "PodFailurePolicy", "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0")
DEADLINE = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")

# case -> (kube job's condition, pod, class, reason, words of the message)
FAILURES: dict[str, tuple[tuple[str, ...], dict[str, Any] | None, str, str, str]] = {
    "exit code 3 with a message": ((), pod("Failed", state=ended(3, "no such picture\n")), "app", "ExitCode", "no such picture"),
    "exit code 3 without one": ((), pod("Failed", state=ended(3)), "app", "ExitCode", "exit code 3"),
    "exit code 65": ((), pod("Failed", state=ended(65, "not a picture")), "input", "DataError", "not a picture"),
    "the program kills itself": ((), pod("Failed", state=ended(137)), "app", "ExitCode", "exit code 137"),
    "out of memory": ((), pod("Failed", state=ended(137, reason="OOMKilled")), "infra", "OutOfMemory", "limits.memory"),
    "evicted by the kubelet": ((), pod("Failed", reason="Evicted", message="node was low on memory"), "infra", "Evicted", "low on memory"),
    "drained": (
        (), pod("Failed", state=ended(143), conditions=(disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),)),
        "infra", "Evicted", "evicting",
    ),
    "drained and ended with exit code 0 in a hurry": (
        (), pod("Failed", state=ended(0), conditions=(disrupted("EvictionByEvictionAPI"),)), "infra", "Evicted", "disrupted",
    ),
    "preempted": (
        (), pod("Failed", state=ended(137), conditions=(disrupted("PreemptionByScheduler", "by a more important pod"),)),
        "infra", "Preempted", "more important",
    ),
    "node lost": (
        (), pod("Failed", state=ended(137), conditions=(disrupted("DeletionByTaintManager", "taint"),)), "infra", "NodeLost", "taint",
    ),
    "container lost with its node": ((), pod("Failed", state=ended(137, reason="ContainerStatusUnknown")), "infra", "NodeLost", "node"),
    "node shut down": ((), pod("Failed", reason="NodeShutdown", message="node is shutting down"), "infra", "NodeShutdown", "shutting down"),
    "deleted by hand": ((), pod("Failed", state=ended(143), deleting=True), "infra", "PodDeleted", "143"),
    "cannot be run": ((), pod("Failed", state=ended(128, "exec: no such file", "StartError")), "infra", "ContainerRefused", "no such file"),
    "failed and says nothing": ((), pod("Failed"), "infra", "PodFailed", "says no more"),
    "pod gone, exit code in the kube job": (POLICY_EXIT, None, "app", "ExitCode", "exit code 3"),
    "pod gone, killed": (POLICY_KILL, None, "infra", "Killed", "exit code 137"),
    "pod gone, disrupted": (POLICY_DISRUPTION, None, "infra", "Disrupted", "DisruptionTarget"),
    "pod gone, no word": (("Failed", "BackoffLimitExceeded", "limit"), None, "infra", "PodLost", "limit"),
    "kube job failed, the pod says why": (POLICY_EXIT, pod("Failed", state=ended(3, "no picture")), "app", "ExitCode", "no picture"),
    "deadline while it ran": (DEADLINE, pod("Failed", state=ended(137)), "app", "HardTimeLimit", "hardSeconds"),
    "deadline while it ran, and it ended well at the last moment": (
        DEADLINE, pod("Succeeded", state=ended(0)), "app", "HardTimeLimit", "hardSeconds",
    ),
    "deadline before a node was found": (DEADLINE, pod("Pending", conditions=(NO_NODE,)), "infra", "Unschedulable", "insufficient memory"),
    "deadline while pulling": (
        DEADLINE, pod("Pending", state=waiting("ImagePullBackOff", 'pulling "x:1"')), "infra", "ImagePullFailed", 'pulling "x:1"',
    ),
    "deadline and no pod": (DEADLINE, None, "infra", "NotStarted", "active longer"),
}  # fmt: skip


@pytest.mark.parametrize(("job", "of", "failure_class", "reason", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_has_the_class_of_its_cause(
    job: tuple[str, ...], of: dict[str, Any] | None, failure_class: str, reason: str, words: str
) -> None:
    outcome = decide(kube_job(*job), of)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == (failure_class, reason)
    assert words in outcome.message
    assert outcome.running is False


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        pytest.param(pod("Pending", conditions=(NO_NODE,)), "Unschedulable", id="no node"),
        pytest.param(pod("Pending", state=waiting("ImagePullBackOff", "x")), "ImagePullFailed", id="no image"),
        pytest.param(pod("Pending", state=waiting("CreateContainerConfigError", "secret")), "ConfigMissing", id="no Secret"),
        pytest.param(pod("Pending", state=waiting("ContainerCreating")), "NotStarted", id="slow"),
        pytest.param(None, "NotStarted", id="no pod at all"),
    ],
)
def test_a_pod_that_has_not_started_in_time_is_an_infra_failure_to_be_ended(of: dict[str, Any] | None, reason: str) -> None:
    assert decide(kube_job(), of, after=timedelta(seconds=99)) is None
    outcome = decide(kube_job(), of, after=timedelta(seconds=100))
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason, outcome.running) == ("infra", reason, True)


def test_a_pod_over_its_hard_limit_is_to_be_ended_unless_its_own_runner_does_so() -> None:
    running = pod("Running", state=RUNNING)
    assert isinstance(decide(kube_job(), running, after=timedelta(seconds=62)), Started)
    over = decide(kube_job(), running, after=timedelta(seconds=63))
    assert isinstance(over, Failed)
    assert (over.failure_class, over.reason, over.running) == ("app", "HardTimeLimit", True)
    assert isinstance(decide(kube_job(), running, after=timedelta(seconds=63), spec=SDK), Started)


def test_a_message_is_cut_to_what_the_ledger_takes() -> None:
    outcome = decide(kube_job(), pod("Failed", state=ended(1, "x" * 5000)))
    assert isinstance(outcome, Failed)
    assert len(outcome.message) == 1000
    assert outcome.as_failure() == {"class": "app", "reason": "ExitCode", "message": outcome.message}


def test_a_kube_job_of_somebody_else_is_not_ours() -> None:
    foreign = kube_job()
    foreign["metadata"]["labels"] = {}
    assert observe_kube_job(foreign) is None
    assert observe_kube_job(kube_job(**{"rowlock.dev/attempt": "two"})) is None


def test_a_kube_job_that_is_only_about_to_fail_has_not_ended() -> None:
    seen = observe_kube_job(kube_job("FailureTarget", "PodFailurePolicy"))
    assert seen is not None
    assert seen.ended is False
