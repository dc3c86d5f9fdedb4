"""Pods that their node ended are told, kept for a while, and cleared away; none that Kubernetes itself still
has a use for.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.ended_pods import KEPT_COUNT, KEPT_LEAST_SECONDS, KEPT_SECONDS, pods_to_clear
from rowlock_operator.observed.deployments import DeploymentSeen
from rowlock_operator.observed.pods import observe_pod
from rowlock_operator.observed.queues import Depth, QueueObservation
from rowlock_operator.status.pod_problems import ended_pods
from rowlock_operator.status.work_queues import fold_work_queue_status
from tests.services.manifests import work_queue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
DISK = "The node was low on resource: ephemeral-storage."


def evicted(name: str, reason: str = "Evicted", message: str = DISK) -> Any:
    status = {"phase": "Failed", "reason": reason, "message": message}
    return observe_pod({"metadata": {"name": name}, "spec": {"nodeName": "n1"}, "status": status})


def conditions(pods: list[Any], **seen: Any) -> dict[str, tuple[str, str, str]]:
    queue = WorkQueue.parse(work_queue())
    observation = QueueObservation(now=NOW, depth=Depth(), failed=0, ended_pods=ended_pods(pods), **seen)
    status = fold_work_queue_status(queue, observation)
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in status["conditions"]}


@pytest.mark.parametrize(
    ("seen", "cleared"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"young": 5.0}, [], id="somebody may still want to look"),
        pytest.param({"old": KEPT_SECONDS, "young": KEPT_SECONDS - 1}, ["old"], id="by age"),
        pytest.param(
            {f"p{n:02}": 90.0 - n for n in range(KEPT_COUNT + 3)},
            ["p00", "p01", "p02"],
            id="by count, the oldest",
        ),
        pytest.param(
            {f"p{n:02}": 59.0 for n in range(500)}, [], id="many in one minute are still read first"
        ),
        pytest.param(
            {"b": KEPT_SECONDS, "a": KEPT_SECONDS}, ["a", "b"], id="equal ones in the order of their names"
        ),
    ],
)
def test_ended_pods_go_by_age_and_by_count(seen: dict[str, float], cleared: list[str]) -> None:
    assert pods_to_clear(seen) == cleared


def test_no_ended_pod_goes_before_what_it_says_was_read() -> None:
    seen = {f"p{n}": KEPT_LEAST_SECONDS - 0.1 for n in range(10 * KEPT_COUNT)}
    assert pods_to_clear(seen) == []
    assert len(pods_to_clear(dict.fromkeys(seen, KEPT_LEAST_SECONDS))) == 9 * KEPT_COUNT


def test_an_eviction_is_told_with_the_kubelets_sentence_and_the_queue_stays_ready() -> None:
    told = conditions([evicted("a"), evicted("b")])
    status, reason, message = told["Degraded"]
    assert (status, reason) == ("True", "Evicted")
    assert message.startswith(f"2 worker pods were evicted by their node: {DISK}")
    assert told["Ready"][:2] == ("True", "Idle")
    well = DeploymentSeen(name="documents-worker", spec_replicas=1, replicas=1, ready=1, updated=1)
    assert conditions([evicted("a")], deployment=well)["Ready"][:2] == ("True", "Ready")


@pytest.mark.parametrize(
    "reason", ["NodeShutdown", "OutOfcpu", "OutOfmemory", "NodeAffinity", "UnexpectedAdmissionError", ""]
)
def test_other_ends_by_a_node_are_told_with_their_word(reason: str) -> None:
    status, said, message = conditions([evicted("a", reason, "")])["Degraded"]
    assert (status, said) == ("True", "PodsFailed")
    assert f"({reason or 'Failed'}): pod a on node n1" in message


def test_the_commonest_end_is_told_and_nothing_once_the_pods_are_gone() -> None:
    pods = [evicted("a", "NodeShutdown"), evicted("b"), evicted("c")]
    assert conditions(pods)["Degraded"][1] == "Evicted"
    assert conditions([])["Degraded"][:2] == ("False", "Healthy")
