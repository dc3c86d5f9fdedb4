"""From a kube job and its pod, as the API server sends them, to the outcome of the attempt."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api.container_waits import NEVER_STARTS
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.outcome import Failed, NotStarted, Outcome, Started, Succeeded, decide_outcome
from rowlock_operator.observed.kube_jobs import observe_kube_job
from rowlock_operator.observed.pods import observe_pod
from rowlock_operator.observed.queues import Depth, QueueObservation
from rowlock_operator.status.pod_problems import pod_problems
from rowlock_operator.status.work_queues import fold_work_queue_status
from tests.services.manifests import exit_queue, sdk_queue

CREATED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STARTED = CREATED + timedelta(seconds=3)
SOON = CREATED + timedelta(seconds=10)
EXIT = WorkQueue.parse(
    exit_queue(limits={"softSeconds": 30, "hardSeconds": 60}, startingDeadlineSeconds=100)
).spec
SDK = WorkQueue.parse(
    sdk_queue(limits={"softSeconds": 30, "hardSeconds": 60}, startingDeadlineSeconds=100)
).spec


def kube_job(condition: str = "", reason: str = "", message: str = "", **labels: str) -> dict[str, Any]:
    status: dict[str, Any] = {}
    if condition:
        status["conditions"] = [{"type": condition, "status": "True", "reason": reason, "message": message}]
    named = {"rowlock.dev/work-queue": "resize", "rowlock.dev/run": "r", "rowlock.dev/attempt": "1", **labels}
    metadata = {
        "name": "j",
        "namespace": "default",
        "uid": "u",
        "creationTimestamp": "2026-01-01T12:00:00Z",
        "labels": named,
    }
    return {"metadata": metadata, "status": status}


def pod(
    phase: str,
    *,
    state: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
    **status: Any,
) -> dict[str, Any]:
    containers = [{"name": "main", "state": state}] if state is not None else []
    metadata = {"name": "p", **({"deletionTimestamp": "x"} if status.pop("deleting", False) else {})}
    return {
        "metadata": metadata,
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status},
    }


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": "2026-01-01T12:00:03Z",
        }
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def disrupted(reason: str, message: str = "") -> dict[str, Any]:
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}


RUNNING = {"running": {"startedAt": "2026-01-01T12:00:03Z"}}
NO_NODE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes: insufficient memory",
}


def decide(
    job: dict[str, Any],
    of: dict[str, Any] | None,
    *,
    after: timedelta = timedelta(seconds=10),
    spec: Any = EXIT,
) -> Outcome | None:
    seen = observe_kube_job(job)
    assert seen is not None
    return decide_outcome(
        spec, kube_job=seen, pod=None if of is None else observe_pod(of), now=CREATED + after
    )


def nested(levels: int) -> Any:
    found: Any = []
    for _ in range(levels - 1):
        found = [found]
    return found


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
        pytest.param('{"a\\u0000": 1}', {"message": '{"a\\u0000": 1}'}, id="a NUL in a key"),
        pytest.param('["\\\\u0000"]', ["\\u0000"], id="what only looks like a NUL"),
        pytest.param('{"n": 1e999999}', {"message": '{"n": 1e999999}'}, id="a number beyond a double"),
        pytest.param('{"n": [-1e400]}', {"message": '{"n": [-1e400]}'}, id="and below, further in"),
        pytest.param("Infinity", {"message": "Infinity"}, id="infinity"),
        pytest.param('{"n": ' + "9" * 4000 + "}", {"n": int("9" * 4000)}, id="a huge whole number"),
        pytest.param("[" * 100 + "]" * 100, nested(100), id="as deep as is read"),
        pytest.param("[" * 101 + "]" * 101, {"message": "[" * 101 + "]" * 101}, id="too deep for readers"),
        pytest.param("[" * 2000 + "]" * 2000, {"message": "[" * 2000 + "]" * 2000}, id="too deep for Python"),
        pytest.param(
            '{"a":' * 600 + "1" + "}" * 600, {"message": '{"a":' * 600 + "1" + "}" * 600}, id="deep objects"
        ),
        pytest.param(
            '{"pages": [1, 2, {"ti', {"message": '{"pages": [1, 2, {"ti'}, id="cut off by the kubelet"
        ),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="a key given twice"),
        pytest.param("done\x00\x00", {"message": "done"}, id="text with NULs"),
        pytest.param("half \ud83d of it", {"message": "half ? of it"}, id="text with half a character"),
    ],
)
def test_exit_code_0_is_success_with_the_termination_message_as_result(message: str, result: Any) -> None:
    assert decide(kube_job(), pod("Succeeded", state=ended(0, message, "Completed"))) == Succeeded(
        result=result, started_at=STARTED
    )


def test_a_complete_kube_job_whose_pod_is_gone_has_succeeded() -> None:
    assert decide(kube_job("Complete"), None) == Succeeded(result={})


POLICY_EXIT = (
    "Failed",
    "PodFailurePolicy",
    "Container main for pod default/p failed with exit code 3 matching FailJob rule at index 1",
)
POLICY_KILL = (
    "Failed",
    "PodFailurePolicy",
    "Container main for pod default/p failed with exit code 137 matching FailJob rule at index 1",
)
POLICY_DISRUPTION = (
    "Failed",
    "PodFailurePolicy",
    "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0",
)
DEADLINE = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")

# case -> (kube job's condition, pod, class, reason, words of the message)
FAILURES: dict[str, tuple[tuple[str, ...], dict[str, Any] | None, str, str, str]] = {
    "exit code 3 with a message": (
        (),
        pod("Failed", state=ended(3, "no such picture\n")),
        "app",
        "ExitCode",
        "no such picture",
    ),
    "exit code 3 without one": ((), pod("Failed", state=ended(3)), "app", "ExitCode", "exit code 3"),
    "exit code 65": (
        (),
        pod("Failed", state=ended(65, "not a picture")),
        "input",
        "DataError",
        "not a picture",
    ),
    "the program kills itself": ((), pod("Failed", state=ended(137)), "app", "ExitCode", "exit code 137"),
    "out of memory": (
        (),
        pod("Failed", state=ended(137, reason="OOMKilled")),
        "infra",
        "OutOfMemory",
        "limits.memory",
    ),
    "evicted by the kubelet": (
        (),
        pod("Failed", reason="Evicted", message="node was low on memory"),
        "infra",
        "Evicted",
        "low on memory",
    ),
    "drained": (
        (),
        pod(
            "Failed",
            state=ended(143),
            conditions=(disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),),
        ),
        "infra",
        "Evicted",
        "evicting",
    ),
    "drained and ended with exit code 0 in a hurry": (
        (),
        pod("Failed", state=ended(0), conditions=(disrupted("EvictionByEvictionAPI"),)),
        "infra",
        "Evicted",
        "disrupted",
    ),
    "preempted": (
        (),
        pod(
            "Failed",
            state=ended(137),
            conditions=(disrupted("PreemptionByScheduler", "by a more important pod"),),
        ),
        "infra",
        "Preempted",
        "more important",
    ),
    "node lost": (
        (),
        pod("Failed", state=ended(137), conditions=(disrupted("DeletionByTaintManager", "taint"),)),
        "infra",
        "NodeLost",
        "taint",
    ),
    "container lost with its node": (
        (),
        pod("Failed", state=ended(137, reason="ContainerStatusUnknown")),
        "infra",
        "NodeLost",
        "node",
    ),
    "node shut down": (
        (),
        pod("Failed", reason="NodeShutdown", message="node is shutting down"),
        "infra",
        "NodeShutdown",
        "shutting down",
    ),
    "deleted by hand": ((), pod("Failed", state=ended(143), deleting=True), "infra", "PodDeleted", "143"),
    "cannot be run": (
        (),
        pod("Failed", state=ended(128, "exec: no such file", "StartError")),
        "infra",
        "ContainerRefused",
        "no such file",
    ),
    "failed and says nothing": ((), pod("Failed"), "infra", "PodFailed", "says no more"),
    "pod gone, exit code in the kube job": (POLICY_EXIT, None, "app", "ExitCode", "exit code 3"),
    "pod gone, killed": (POLICY_KILL, None, "infra", "Killed", "exit code 137"),
    "pod gone, disrupted": (POLICY_DISRUPTION, None, "infra", "Disrupted", "DisruptionTarget"),
    "pod gone, no word": (("Failed", "BackoffLimitExceeded", "limit"), None, "infra", "PodLost", "limit"),
    "kube job failed, the pod says why": (
        POLICY_EXIT,
        pod("Failed", state=ended(3, "no picture")),
        "app",
        "ExitCode",
        "no picture",
    ),
    "deadline while it ran": (
        DEADLINE,
        pod("Failed", state=ended(137)),
        "app",
        "HardTimeLimit",
        "hardSeconds",
    ),
    "deadline while it ran, and it ended well at the last moment": (
        DEADLINE,
        pod("Succeeded", state=ended(0)),
        "app",
        "HardTimeLimit",
        "hardSeconds",
    ),
    "deadline before a node was found": (
        DEADLINE,
        pod("Pending", conditions=(NO_NODE,)),
        "infra",
        "Unschedulable",
        "insufficient memory",
    ),
    "deadline while pulling": (
        DEADLINE,
        pod("Pending", state=waiting("ImagePullBackOff", 'pulling "x:1"')),
        "infra",
        "ImagePullFailed",
        'pulling "x:1"',
    ),
    "deadline and no pod": (DEADLINE, None, "infra", "NotStarted", "active longer"),
}


@pytest.mark.parametrize(
    ("job", "of", "failure_class", "reason", "words"), FAILURES.values(), ids=FAILURES.keys()
)
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
        pytest.param(
            pod("Pending", state=waiting("ImagePullBackOff", "x")), "ImagePullFailed", id="no image"
        ),
        pytest.param(
            pod("Pending", state=waiting("CreateContainerConfigError", "secret")),
            "ConfigMissing",
            id="no Secret",
        ),
        pytest.param(pod("Pending", state=waiting("ContainerCreating")), "NotStarted", id="slow"),
        pytest.param(None, "NotStarted", id="no pod at all"),
    ],
)
def test_a_pod_that_has_not_started_in_time_is_an_infra_failure_to_be_ended(
    of: dict[str, Any] | None, reason: str
) -> None:
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


def test_whatever_a_pod_says_of_its_failure_can_be_stored() -> None:
    for message in ("a\x00b", "half \ud83d", "\udfff" * 2000):
        outcome = decide(kube_job(), pod("Failed", state=ended(1, message)))
        assert isinstance(outcome, Failed)
        stored = json.dumps(outcome.as_failure(), ensure_ascii=False).encode().decode()
        assert "\x00" not in stored and "\\u0000" not in stored  # noqa: PT018


# --- what others put beside our container
# -------------------------------------------------------------------------------------

SIDECARS = ("istio-proxy", "a", "zz", "main-proxy", "Main")


def beside(
    main: dict[str, Any] | None, *others: tuple[str, dict[str, Any]], phase: str = "Running", **status: Any
) -> dict[str, Any]:
    """A pod as the kubelet writes it: containers sorted by name."""
    states = [*others, *([("main", main)] if main else [])]
    containers = [{"name": name, "state": state} for name, state in sorted(states, key=lambda one: one[0])]
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": containers, **status}}


@pytest.mark.parametrize("name", SIDECARS)
def test_only_our_own_container_says_how_the_attempt_ended(name: str) -> None:
    crashed = {
        "terminated": {
            "exitCode": 9,
            "reason": "Error",
            "message": "no config",
            "startedAt": "2026-01-01T12:00:00Z",
        }
    }
    assert decide(kube_job(), beside(ended(0, '{"n": 1}'), (name, RUNNING))) == Succeeded(
        result={"n": 1}, started_at=STARTED
    )
    assert decide(kube_job(), beside(ended(0), (name, crashed), phase="Failed")) == Succeeded(
        result={}, started_at=STARTED
    )
    failed_job = kube_job("Failed", "BackoffLimitExceeded", "limit")
    assert decide(failed_job, beside(ended(0), (name, crashed), phase="Failed")) == Succeeded(
        result={}, started_at=STARTED
    )
    assert decide(kube_job(), beside(RUNNING, (name, crashed))) == Started(at=STARTED)
    assert decide(kube_job(), beside(waiting("PodInitializing"), (name, RUNNING))) is None
    assert decide(kube_job(), beside(None, (name, ended(0)))) is None, "ours is not there yet"
    failed = decide(kube_job(), beside(ended(3, "no picture"), (name, ended(0))))
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.message) == ("app", "no picture")


def test_init_containers_and_debuggers_are_not_ours_even_by_name() -> None:
    others = {
        "initContainerStatuses": [{"name": "main", "state": RUNNING}],
        "ephemeralContainerStatuses": [{"name": "main", "state": ended(1)}],
    }
    assert decide(kube_job(), beside(RUNNING, **others)) == Started(at=STARTED)
    assert decide(kube_job(), beside(None, phase="Pending", **others)) is None


def test_what_holds_up_the_initialization_is_told() -> None:
    stuck = [
        {"name": "ok", "state": ended(0)},
        {"name": "istio-init", "state": waiting("ImagePullBackOff", "no such image")},
    ]
    outcome = decide(
        kube_job(),
        beside(waiting("PodInitializing"), phase="Pending", initContainerStatuses=stuck),
        after=timedelta(seconds=100),
    )
    assert isinstance(outcome, Failed)
    assert (outcome.reason, "no such image" in outcome.message) == ("ImagePullFailed", True)


# --- a node that does not answer
# ----------------------------------------------------------------------------------------------

TAINTED = disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
NODE_GONE_QUIET = ({"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"})


def terminating(
    *conditions: dict[str, Any], seconds: int = 40, state: dict[str, Any] = RUNNING
) -> dict[str, Any]:
    """A pod that was to end so long after the kube job's creation, and of which nothing was heard since."""
    found = pod("Running", state=state, conditions=conditions)
    found["metadata"]["deletionTimestamp"] = (CREATED + timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    found["spec"] = {"nodeName": "worker-7"}
    return found


@pytest.mark.parametrize(
    "conditions", [(), (TAINTED,), (TAINTED, *NODE_GONE_QUIET), (disrupted("EvictionByEvictionAPI"),)]
)
@pytest.mark.parametrize("state", [RUNNING, waiting("ContainerCreating")])
def test_a_pod_whose_end_nobody_confirms_is_lost_with_its_node_after_a_bound_of_its_own(
    conditions: tuple[dict[str, Any], ...], state: dict[str, Any]
) -> None:
    lost = terminating(*conditions, state=state)
    for seconds in (41, 63, 99):  # the hard limit passes meanwhile
        assert not isinstance(decide(kube_job(), lost, after=timedelta(seconds=seconds)), Failed)
    for seconds in (100, 5000):
        outcome = decide(kube_job(), lost, after=timedelta(seconds=seconds))
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.reason, outcome.running) == ("infra", "NodeLost", True)
        assert "worker-7" in outcome.message


def test_a_pod_over_its_hard_limit_on_a_node_that_fell_silent_before_is_the_platforms_failure() -> None:
    """The taint manager waits five minutes before it deletes the pod; many limits are shorter."""
    silent = pod("Running", state=RUNNING, conditions=NODE_GONE_QUIET)
    assert isinstance(decide(kube_job(), silent, after=timedelta(seconds=62)), Started)
    outcome = decide(kube_job(), silent, after=timedelta(seconds=63))
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("infra", "NodeLost")
    gate = ({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"}, NODE_GONE_QUIET[1])
    unready = (
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
        {"type": "ContainersReady", "status": "False"},
    )
    for conditions in (gate, unready):
        outcome = decide(
            kube_job(), pod("Running", state=RUNNING, conditions=conditions), after=timedelta(seconds=63)
        )
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.reason) == ("app", "HardTimeLimit")


def test_a_pod_that_its_kube_jobs_own_deadline_ends_is_still_the_tasks_failure() -> None:
    outcome = decide(
        kube_job("FailureTarget", "DeadlineExceeded"), terminating(seconds=63), after=timedelta(seconds=64)
    )
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("app", "HardTimeLimit")


def test_a_deadline_that_passed_after_the_node_was_lost_is_not_the_tasks() -> None:
    """Pod garbage collection fails the pods of a Node that was deleted or tainted out-of-service, at last
    after the kube job's deadline.
    """
    collected = pod("Failed", state=RUNNING, conditions=(TAINTED,), deleting=True)
    outcome = decide(kube_job(*DEADLINE), collected, after=timedelta(seconds=2000))
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("infra", "NodeLost")


def test_a_node_that_comes_back_in_time_tells_how_the_pod_ended() -> None:
    for state, wanted in ((ended(0), "Evicted"), (ended(143), "NodeLost")):
        back = terminating(
            TAINTED if wanted == "NodeLost" else disrupted("EvictionByEvictionAPI"), state=state
        )
        outcome = decide(kube_job(), back, after=timedelta(seconds=5000))
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.reason) == ("infra", wanted)


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


# --- what never began
# ---------------------------------------------------------------------------------------------------------

LATE = timedelta(seconds=5000)
GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked",
}
IN_1970 = {
    "terminated": {
        "exitCode": 128,
        "reason": "StartError",
        "message": "argument list too long",
        "startedAt": "1970-01-01T00:00:00Z",
    }
}

NEVER_BEGAN: dict[str, tuple[tuple[str, ...], dict[str, Any] | None, str]] = {
    "no node": ((), pod("Pending", conditions=(NO_NODE,)), "Unschedulable"),
    "a scheduling gate": ((), pod("Pending", conditions=(GATED,)), "SchedulingGated"),
    "no image": ((), pod("Pending", state=waiting("ErrImagePull", "x")), "ImagePullFailed"),
    "no Secret": ((), pod("Pending", state=waiting("CreateContainerConfigError", "x")), "ConfigMissing"),
    "a volume is not attached": ((), pod("Pending", state=waiting("ContainerCreating")), "NotStarted"),
    "an init container waits": ((), pod("Pending", state=waiting("PodInitializing")), "NotStarted"),
    "no pod": ((), None, "NotStarted"),
    "a command that is not there": (
        (),
        pod("Failed", state=ended(128, "no such file", "StartError")),
        "ContainerRefused",
    ),
    "too many arguments": ((), pod("Failed", state=IN_1970), "ContainerRefused"),
    "the kubelet refuses it": (
        (),
        pod("Failed", reason="UnexpectedAdmissionError", message="devices"),
        "UnexpectedAdmissionError",
    ),
    "no room on the node": (
        (),
        pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource"),
        "OutOfcpu",
    ),
    "the node does not fit any more": (
        (),
        pod("Failed", reason="NodeAffinity", message="labels"),
        "NodeAffinity",
    ),
    "the node shuts down": ((), pod("Failed", reason="NodeShutdown", message="x"), "NodeShutdown"),
    "evicted while it waited": (
        (),
        pod("Failed", reason="Evicted", message="The node was low on resource"),
        "Evicted",
    ),
    "preempted while it waited": (
        (),
        pod("Failed", conditions=(disrupted("PreemptionByScheduler"),)),
        "Preempted",
    ),
    "its kube job's deadline, while it waited": (
        DEADLINE,
        pod("Pending", conditions=(NO_NODE,)),
        "Unschedulable",
    ),
    "its kube job's deadline, without a pod": (DEADLINE, None, "NotStarted"),
    "suspended while it waited": (
        ("Failed", "BackoffLimitExceeded", "limit"),
        pod("Pending", state=waiting("x"), deleting=True),
        "NotStarted",
    ),
}


@pytest.mark.parametrize(("job", "of", "reason"), NEVER_BEGAN.values(), ids=NEVER_BEGAN.keys())
def test_a_process_that_never_began_is_told_apart_from_one_that_failed(
    job: tuple[str, ...], of: dict[str, Any] | None, reason: str
) -> None:
    outcome = decide(kube_job(*job), of, after=LATE)
    assert isinstance(outcome, NotStarted)
    assert (outcome.failure_class, outcome.reason) == ("infra", reason)


@pytest.mark.parametrize(
    "of",
    [
        pod("Failed", state=ended(1)),
        pod("Failed", state=ended(137, reason="OOMKilled")),
        pod("Running", state=RUNNING),
    ],
)
def test_a_process_that_began_is_never_taken_for_one_that_did_not(of: dict[str, Any]) -> None:
    assert not isinstance(decide(kube_job(), of, after=LATE), NotStarted)
    assert not isinstance(decide(kube_job(*DEADLINE), of, after=LATE), NotStarted)


def test_a_kube_job_whose_pod_failed_and_is_gone_may_have_run() -> None:
    job = kube_job(*DEADLINE)
    job["status"]["failed"] = 1
    outcome = decide(job, None, after=LATE)
    assert isinstance(outcome, Failed)
    assert (isinstance(outcome, NotStarted), outcome.reason) == (False, "PodLost")


@pytest.mark.parametrize(
    "message",
    [
        'Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ',
        "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
        'Container main exceeded its local ephemeral storage limit "2Gi". ',
    ],
)
def test_an_eviction_for_the_pods_own_storage_limit_is_no_disruption(message: str) -> None:
    kubelet = disrupted("TerminationByKubelet", message)
    outcome = decide(
        kube_job(), pod("Failed", state=ended(137), reason="Evicted", message=message, conditions=(kubelet,))
    )
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("infra", "StorageExceeded")


# --- suspended by somebody else
# -----------------------------------------------------------------------------------------------


def suspended(
    *condition: str, suspend: bool = True, resumed_after: timedelta | None = None
) -> dict[str, Any]:
    """A kube job that Kueue, or a hand, suspended; with `resumed_after` its controller has begun it again
    since.
    """
    job = kube_job(*condition)
    job["spec"] = {"suspend": suspend}
    told = {
        "type": "Suspended",
        "status": "False" if resumed_after is not None else "True",
        "reason": "JobSuspended",
    }
    job["status"].setdefault("conditions", []).append(told)
    if resumed_after is not None:
        job["status"]["startTime"] = (CREATED + resumed_after).strftime("%Y-%m-%dT%H:%M:%SZ")
    return job


def test_a_suspended_kube_job_is_waited_for_however_long() -> None:
    never_synced = kube_job()
    never_synced["spec"] = {"suspend": True}
    for job in (suspended(), never_synced, suspended(suspend=False)):
        for of in (
            None,
            pod("Pending", conditions=(NO_NODE,)),
            pod("Pending", state=waiting("ContainerCreating"), deleting=True),
        ):
            assert decide(job, of, after=timedelta(days=9)) is None


def test_the_deadline_counts_from_the_resumption() -> None:
    job = suspended(suspend=False, resumed_after=timedelta(hours=8))
    waits = pod("Pending", conditions=(NO_NODE,))
    assert decide(job, waits, after=timedelta(hours=8, seconds=99)) is None
    assert isinstance(decide(job, waits, after=timedelta(hours=8, seconds=100)), NotStarted)


def test_a_kube_job_that_is_suspended_while_it_runs_has_no_limits_until_its_pod_has_ended() -> None:
    leaving = terminating()
    for seconds in (5, 63, 5000):
        assert decide(suspended(), leaving, after=timedelta(seconds=seconds)) == Started(at=STARTED)


@pytest.mark.parametrize("code", [1, 137, 143])
@pytest.mark.parametrize("gone", [False, True])
def test_what_a_suspension_ended_is_a_disruption(code: int, gone: bool) -> None:
    message = (
        f"Container main for pod default/p failed with exit code {code} matching FailJob rule at index 1"
    )
    of = None if gone else pod("Failed", state=ended(code), deleting=True)
    outcome = decide(suspended("Failed", "PodFailurePolicy", message), of)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("infra", "JobSuspended")


def test_a_run_that_failed_before_its_kube_job_was_suspended_has_failed() -> None:
    message = "Container main for pod default/p failed with exit code 3 matching FailJob rule at index 1"
    outcome = decide(
        suspended("Failed", "PodFailurePolicy", message), pod("Failed", state=ended(3, "no such picture"))
    )
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.message) == ("app", "no such picture")


@pytest.mark.parametrize("word", NEVER_STARTS)
def test_a_container_that_waits_in_vain_has_one_reason_in_the_condition_and_in_the_failure(word: str) -> None:
    manifest = pod("Pending", state=waiting(word, "x"))
    outcome = decide(kube_job(), manifest, after=LATE)
    observation = QueueObservation(
        now=SOON, depth=Depth(due=1), pod_problems=pod_problems([observe_pod(manifest)])
    )
    status = fold_work_queue_status(WorkQueue.parse(exit_queue()), observation)
    (degraded,) = (each for each in status["conditions"] if each["type"] == "Degraded")
    assert isinstance(outcome, NotStarted)
    assert degraded["reason"] == outcome.reason == NEVER_STARTS[word].name
