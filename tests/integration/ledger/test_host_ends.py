"""What a pod said of its end is joined to the runs that it held, whether it was told before their runners'
leases had lapsed or after.
"""

import json
from typing import Any

import pytest

from tests.integration.ledger.ledger_client import QUEUE, LedgerClient

pytestmark = pytest.mark.integration

OUT_OF_MEMORY = {
    "class": "infra",
    "reason": "OutOfMemory",
    "message": "the container ran out of memory (limit 256Mi): raise it",
}
EVICTED = {"class": "infra", "reason": "Evicted", "message": "The node was low on resource: memory. "}


class Pod(LedgerClient):
    """A worker process in a pod: its runner bears the pod's name."""

    def __init__(
        self, url: str, name: str, *, lease_seconds: float = 10, retry: dict[str, Any] | None = None
    ) -> None:
        self.name, self.lease_seconds = name, lease_seconds
        super().__init__(url, retry=retry)

    def hello(self, lease_seconds: float | None = None) -> int:
        return int(
            self.value(
                "select rowlock.hello_v1(%s, %s)", f"{self.name}.{id(self) % 1000}.0a1b2c", self.lease_seconds
            )
        )

    def dies(self, seconds_ago: float = 11) -> None:
        """It spoke last so long ago."""
        self.rows(
            "update rowlock.runner set lease_until = clock_timestamp() + make_interval(secs => lease_seconds"
            " - %s) where id = %s",
            seconds_ago,
            self.runner,
        )

    def renews(self) -> None:
        assert self.value("select alive from rowlock.renew_v1(%s, %s)", self.runner, self.lease_seconds)


def tell(
    ledger: LedgerClient,
    host: str,
    failure: dict[str, Any],
    container: str = "containerd://1",
    queue: str = QUEUE,
) -> int:
    return int(
        ledger.value(
            "select rowlock.tell_end_v1(%s, %s, %s, %s)", queue, host, container, json.dumps(failure)
        )
    )


def reason(ledger: LedgerClient, run: str) -> tuple[str, str]:
    failure = ledger.field(run, "failure")
    return failure["reason"], failure["message"]


@pytest.mark.parametrize("first", ["the pod", "the sweep"])
def test_the_pods_story_is_the_runs_failure_whoever_comes_first(database: str, first: str) -> None:
    pod = Pod(database, "q-worker-1")
    run = pod.running()
    pod.dies()
    if first == "the pod":
        assert tell(pod, pod.name, OUT_OF_MEMORY) == 0
        assert pod.sweep() == 1
    else:
        assert pod.sweep() == 1
        assert reason(pod, run)[0] == "RunnerLost"
        assert tell(pod, pod.name, OUT_OF_MEMORY) == 1
    assert reason(pod, run) == ("OutOfMemory", OUT_OF_MEMORY["message"])
    assert (pod.field(run, "failure->>'attempt'"), pod.state(run), pod.field(run, "infra_tries")) == (
        "1",
        "pending",
        1,
    )
    assert pod.field(run, "failure->>'worker'").startswith("q-worker-1.")
    assert tell(pod, pod.name, {**OUT_OF_MEMORY, "reason": "Other"}) == 0, "told once"
    assert reason(pod, run)[0] == "OutOfMemory"


def test_the_lease_alone_gives_runs_away(database: str) -> None:
    pod = Pod(database, "q-worker-1")
    run = pod.running()
    tell(pod, pod.name, OUT_OF_MEMORY)
    assert pod.sweep() == 0
    assert pod.state(run) == "running"
    assert pod.finish(run) == "succeeded"


@pytest.mark.parametrize("first", ["the pod", "the sweep"])
def test_all_runs_that_ended_with_one_container_are_named(database: str, first: str) -> None:
    parents = [Pod(database, "q-worker-1") for _ in range(3)]
    elsewhere = Pod(database, "q-worker-2")
    runs = [parent.running() for parent in parents] + [parents[0].running()]
    other = elsewhere.running()
    for parent in parents:
        parent.dies(9)
    if first == "the pod":
        tell(elsewhere, "q-worker-1", OUT_OF_MEMORY)
    for parent in parents:  # their leases lapse one after the other
        parent.dies(11)
        elsewhere.sweep()
    if first == "the sweep":
        assert tell(elsewhere, "q-worker-1", OUT_OF_MEMORY) == 4
    for run in runs:
        why, message = reason(elsewhere, run)
        assert why == "OutOfMemory"
        assert "4 runs ended there together" in message
        assert all(each in message for each in runs)
        assert sorted(elsewhere.field(run, "failure->'runs'")) == sorted(runs)
    assert elsewhere.state(other) == "running"


def test_a_hundred_runs_are_all_named_and_the_sentence_stays_short(database: str) -> None:
    pod = Pod(database, "q-worker-1")
    runs = [pod.enqueue() for _ in range(100)]
    pod.claim()
    assert all(pod.start(run) for run in runs)
    pod.dies()
    tell(pod, pod.name, {**OUT_OF_MEMORY, "message": "x" * 1000})
    assert pod.sweep() == 100
    _, message = reason(pod, runs[0])
    assert len(message) <= 1000
    assert "100 runs ended there together" in message
    assert "and 84 more" in message
    assert len(pod.field(runs[0], "failure->'runs'")) == 100


def test_a_container_that_was_started_again_in_the_same_pod_is_another(database: str) -> None:
    """Both bear the pod's name. Who has renewed since the end was told has not ended with it."""
    before, after = Pod(database, "q-worker-1"), Pod(database, "q-worker-1")
    old, new = before.running(), after.running()
    before.dies(9)
    tell(after, "q-worker-1", OUT_OF_MEMORY)  # late: the next container's runner is there already
    after.renews()
    before.dies()
    assert after.sweep() == 1
    assert reason(after, old) == (
        "OutOfMemory",
        OUT_OF_MEMORY["message"],
    ), "and the other one's run is not named"
    assert after.state(new) == "running"
    # It is cut off later: nobody says why, and what was told before does not concern it.
    after.rows("update rowlock.host_end set told_at = told_at - interval '30 s'")
    after.dies(11)
    assert after.sweep() == 1
    assert reason(after, new)[0] == "RunnerLost"


def test_a_pod_of_another_queue_with_the_same_name_is_another(database: str) -> None:
    pod = Pod(database, "q-worker-1")
    run = pod.running()
    pod.rows("insert into rowlock.queue(name, mode, retry) values ('elsewhere/q', 'Workers', '{}')")
    pod.dies()
    tell(pod, pod.name, OUT_OF_MEMORY, queue="elsewhere/q")
    assert tell(pod, pod.name, OUT_OF_MEMORY, queue="nobody/knows") == 0
    pod.sweep()
    assert reason(pod, run)[0] == "RunnerLost"


def test_a_kube_job_of_contract_sdk_is_known_by_its_attempt(database: str) -> None:
    pod = Pod(database, "x")
    run = pod.enqueue()
    pod.claim()
    pod.runner = int(pod.value("select rowlock.hello_v1(%s, 10)", f"once {run}-1"))
    assert pod.start(run)
    pod.dies()
    tell(pod, f"once {run}-1", EVICTED, "")
    pod.sweep()
    assert reason(pod, run)[0] == "Evicted"


def test_what_a_runner_gave_back_at_its_end_is_explained_too(database: str) -> None:
    pod = Pod(database, "q-worker-1")
    run = pod.running()
    pod.rows("select rowlock.goodbye_v1(%s)", pod.runner)
    assert reason(pod, run)[0] == "RunnerLost"
    assert tell(pod, pod.name, EVICTED, "") == 1
    assert reason(pod, run)[0] == "Evicted"


def test_an_eviction_that_is_told_late_gives_its_try_back_and_revives_what_died_of_it(database: str) -> None:
    pod = Pod(database, "q-worker-1", retry={"infra": {"limit": 0}})
    run = pod.running()
    pod.dies()
    pod.sweep()
    assert pod.state(run) == "dead"
    assert tell(pod, pod.name, EVICTED, "") == 1
    assert pod.state(run) == "pending"
    assert reason(pod, run)[0] == "Evicted"

    generous = Pod(database, "q-worker-2", retry={"infra": {"limit": 5}})
    second = generous.running()
    generous.dies()
    generous.sweep()
    assert generous.field(second, "infra_tries") == 1
    assert tell(generous, generous.name, EVICTED, "") == 1
    assert generous.field(second, "infra_tries") == 0


def test_no_memory_keeps_its_budget_and_a_dead_run_says_why(database: str) -> None:
    pod = Pod(database, "q-worker-1", retry={"infra": {"limit": 0}})
    run = pod.running()
    pod.dies()
    pod.sweep()
    assert tell(pod, pod.name, OUT_OF_MEMORY) == 1
    assert (pod.state(run), reason(pod, run)[0]) == ("dead", "OutOfMemory")


def test_a_later_failure_is_not_overwritten(database: str) -> None:
    pod = Pod(database, "q-worker-1")
    run = pod.running()
    pod.dies()
    pod.sweep()
    pod.make_due()
    other = Pod(database, "q-worker-2")
    assert other.claim() == [run]
    assert other.start(run, attempt=2)
    assert (
        other.finish(
            run, 2, outcome="failed", failure={"class": "app", "reason": "ValueError", "message": "no"}
        )
        == "pending"
    )
    assert tell(pod, pod.name, EVICTED, "") == 0
    assert reason(pod, run) == ("ValueError", "no")


def test_a_node_that_falls_silent_again_is_told_again(database: str) -> None:
    lost = {"class": "infra", "reason": "NodeLost", "message": "node n does not answer"}
    for number in (1, 2):
        pod = Pod(database, "q-worker-1")
        run = pod.running()
        tell(pod, pod.name, lost, "")
        pod.dies(0)
        pod.rows(
            "update rowlock.runner set lease_until = clock_timestamp() - interval '1 ms', lease_seconds = 1"
            " where id = %s",
            pod.runner,
        )
        pod.rows("update rowlock.host_end set told_at = clock_timestamp()")
        pod.sweep()
        assert reason(pod, run)[0] == "NodeLost", number


def test_two_sweeps_and_two_tellings_at_once_miss_nothing(database: str) -> None:
    pod, other = Pod(database, "q-worker-1"), LedgerClient(database)
    run = pod.running()
    pod.dies()
    pod.connection.autocommit = False
    pod.sweep()  # not committed yet
    other.connection.autocommit = False
    other.rows("set local lock_timeout = '200ms'")
    with pytest.raises(Exception, match="lock timeout"):
        tell(other, pod.name, OUT_OF_MEMORY)
    other.connection.rollback()
    pod.connection.commit()
    assert tell(other, pod.name, OUT_OF_MEMORY) == 1
    other.connection.commit()
    assert reason(pod, run)[0] == "OutOfMemory"


def test_without_the_lock_of_ends_a_sweep_and_a_telling_miss_each_other(database: str) -> None:
    pod, other = Pod(database, "q-worker-1"), LedgerClient(database)
    pod.rows("create or replace function rowlock.lock_ends() returns void language sql as $$ select $$")
    run = pod.running()
    pod.dies()
    pod.connection.autocommit = False
    pod.sweep()  # not committed yet
    assert tell(other, pod.name, OUT_OF_MEMORY) == 0
    pod.connection.commit()
    assert reason(pod, run)[0] == "RunnerLost"


def test_what_nobody_explains_is_forgotten_by_the_losses_of_a_later_hour(database: str) -> None:
    pod, later = Pod(database, "q-worker-1"), Pod(database, "q-worker-2")
    pod.running()
    pod.dies()
    pod.sweep()
    assert pod.value("select count(*) from rowlock.lost") == 1
    pod.rows("update rowlock.lost set heard_at = heard_at - interval '2 h'")
    later.running()
    later.dies()
    later.sweep()
    assert pod.rows("select host from rowlock.lost") == [("q-worker-2",)]
