"""No clock that is ahead or behind by ten minutes changes what becomes of an attempt."""

from datetime import UTC, datetime, timedelta

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.outcome import Failed, Outcome, Started, decide_outcome
from rowlock_operator.dispatch.sightings import Sightings
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen, Termination, newest, of_owner
from tests.services.manifests import exit_queue

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EXIT = WorkQueue.parse(
    exit_queue(limits={"softSeconds": 30, "hardSeconds": 600}, startingDeadlineSeconds=300)
).spec
SKEWS = (-600, -301, 0, 301, 600)


class Stage:
    """One kube job followed by an operator whose clock is ahead of the API server's, on a node whose clock is
    ahead of that, too.
    """

    def __init__(self, *, operator: float, node: float, inherited: bool = False) -> None:
        self.operator, self.node, self.elapsed = operator, node, 0.0
        self.sightings = Sightings(self.now)
        self.sightings.exist({"u"} if inherited else ())
        self.pod: PodSeen | None = None

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed + self.operator)

    def starts(self) -> None:
        self.pod = PodSeen(name="p", uid="p", phase="Running", created_at=NOON, running_since=self.on_node())

    def on_node(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed + self.node)

    def deleted(self, grace: float) -> None:
        assert self.pod is not None
        at = NOON + timedelta(seconds=self.elapsed + grace)
        self.pod = PodSeen(
            name="p",
            uid="p",
            phase="Running",
            running_since=self.pod.running_since,
            deleting=True,
            end_asked=True,
            deleting_at=at,
            grace=timedelta(seconds=grace),
        )

    def after(self, seconds: float) -> Outcome | None:
        """What is decided then; it is looked at every two seconds."""
        outcome: Outcome | None = None
        while self.elapsed <= seconds:
            job = KubeJobSeen(
                name="j", namespace="n", uid="u", work_queue="q", run_id="r", attempt=1, created_at=NOON
            )
            job, pod = self.sightings.of(job, self.pod)
            outcome = decide_outcome(EXIT, kube_job=job, pod=pod, now=self.now())
            if isinstance(outcome, Failed):
                return outcome
            self.elapsed += 2
        return outcome


@pytest.mark.parametrize("operator", SKEWS)
@pytest.mark.parametrize("node", SKEWS)
def test_no_skew_ends_a_run_before_its_hard_limit_and_every_run_ends_at_it(
    operator: float, node: float
) -> None:
    stage = Stage(operator=operator, node=node)
    assert stage.after(3) is None
    stage.starts()
    assert isinstance(stage.after(590), Started)
    outcome = stage.after(610)
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("app", "HardTimeLimit")


def test_without_sightings_an_operator_that_is_ahead_ends_runs_that_have_just_begun() -> None:
    job = KubeJobSeen(
        name="j", namespace="n", uid="u", work_queue="q", run_id="r", attempt=1, created_at=NOON
    )
    begun = PodSeen(name="p", phase="Running", running_since=NOON)
    for pod, wanted in ((begun, "HardTimeLimit"), (None, "NotStarted")):
        outcome = decide_outcome(EXIT, kube_job=job, pod=pod, now=NOON + timedelta(seconds=602))
        assert isinstance(outcome, Failed)
        assert outcome.reason == wanted


@pytest.mark.parametrize("operator", SKEWS)
def test_no_skew_calls_a_pod_that_may_still_start_not_started(operator: float) -> None:
    stage = Stage(operator=operator, node=0)
    assert stage.after(295) is None
    outcome = stage.after(310)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "NotStarted"


@pytest.mark.parametrize("operator", SKEWS)
def test_no_skew_gives_a_pod_up_whose_grace_period_lasts(operator: float) -> None:
    stage = Stage(operator=operator, node=0)
    stage.starts()
    stage.after(10)
    stage.deleted(grace=30)
    assert isinstance(stage.after(95), Started)
    outcome = stage.after(110)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "NodeLost"


@pytest.mark.parametrize("operator", SKEWS)
@pytest.mark.parametrize("node", SKEWS)
def test_a_new_leader_ends_nothing_earlier_and_everything_at_last(operator: float, node: float) -> None:
    stage = Stage(operator=operator, node=node, inherited=True)
    stage.starts()  # long ago, as far as the new leader knows
    assert isinstance(stage.after(590), Started)
    outcome = stage.after(610 + max(0, node - operator))
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.reason) == ("app", "HardTimeLimit")


def test_a_kube_job_that_is_resumed_waits_for_its_start_anew() -> None:
    elapsed = 0.0
    sightings = Sightings(lambda: NOON + timedelta(seconds=elapsed))
    sightings.exist(())
    job = KubeJobSeen(
        name="j",
        namespace="n",
        uid="u",
        work_queue="q",
        run_id="r",
        attempt=1,
        created_at=NOON,
        started_at=NOON,
    )
    assert sightings.of(job, None)[0].counted_from == NOON
    elapsed = 5000.0
    resumed = KubeJobSeen(
        name="j",
        namespace="n",
        uid="u",
        work_queue="q",
        run_id="r",
        attempt=1,
        created_at=NOON,
        started_at=NOON + timedelta(hours=1),
    )
    assert sightings.of(resumed, None)[0].counted_from == NOON + timedelta(seconds=5000)


def test_a_kube_job_that_is_gone_leaves_nothing_behind() -> None:
    sightings = Sightings(lambda: NOON)
    for number in range(100):
        job = KubeJobSeen(
            name="j", namespace="n", uid=f"u{number}", work_queue="q", run_id="r", attempt=1, created_at=NOON
        )
        sightings.of(job, PodSeen(name="p", uid=f"p{number}", running_since=NOON))
    sightings.exist({"u7"})
    assert {fact[0] for fact in sightings._first} == set(sightings._starts) == {"u7"}


# --- started twice
# ------------------------------------------------------------------------------------------------------------


def running(
    name: str, *, seconds: float = 0, container: str = "c1", phase: str = "Running", owner: str = "u"
) -> PodSeen:
    at = NOON + timedelta(seconds=seconds)
    return PodSeen(
        name=name,
        uid=name,
        owner_uid=owner,
        phase=phase,
        created_at=at,
        running_since=at,
        container_id=container,
    )


def decide(sightings: Sightings, pod: PodSeen | None) -> Outcome | None:
    job = KubeJobSeen(
        name="j", namespace="n", uid="u", work_queue="q", run_id="r", attempt=1, created_at=NOON
    )
    job, pod = sightings.of(job, of_owner(pod, "u"))
    return decide_outcome(EXIT, kube_job=job, pod=pod, now=NOON + timedelta(seconds=20))


def reason(outcome: Outcome | None) -> str:
    return outcome.reason if isinstance(outcome, Failed) else type(outcome).__name__


def test_another_container_id_is_a_second_start() -> None:
    sightings = Sightings(lambda: NOON)
    assert reason(decide(sightings, running("p"))) == "Started"
    assert reason(decide(sightings, running("p"))) == "Started"
    assert reason(decide(sightings, running("p", container="c2"))) == "StartedTwice"


def test_a_container_id_that_comes_late_is_the_same_start() -> None:
    sightings = Sightings(lambda: NOON)
    assert reason(decide(sightings, running("p", container=""))) == "Started"
    assert reason(decide(sightings, running("p", container="c1"))) == "Started"
    assert reason(decide(sightings, running("p", container=""))) == "Started"


def test_a_second_pod_is_a_second_start_also_after_the_first_one_is_gone() -> None:
    sightings = Sightings(lambda: NOON)
    assert reason(decide(sightings, running("p"))) == "Started"
    assert decide(sightings, None) is None
    assert reason(decide(sightings, running("q", seconds=9))) == "StartedTwice"
    together = newest([running("b"), running("a", seconds=9)])
    assert together is not None
    assert reason(decide(Sightings(lambda: NOON), together)) == "StartedTwice"


def test_a_pod_that_never_started_its_container_was_no_start() -> None:
    """Preempted while it waited, or made while its kube job was suspended and resumed."""
    first = PodSeen(name="z", uid="z", owner_uid="u", phase="Failed", reason="OutOfcpu", created_at=NOON)
    both = newest([first, running("a", seconds=9)])
    assert both is not None
    assert reason(decide(Sightings(lambda: NOON), both)) == "Started"


def test_the_newest_pod_counts_by_its_creation_not_by_its_name() -> None:
    old = PodSeen(name="zzz", uid="1", owner_uid="u", phase="Failed", reason="OutOfpods", created_at=NOON)
    new = PodSeen(
        name="aaa", uid="2", owner_uid="u", phase="Succeeded", created_at=NOON + timedelta(seconds=1),
        terminated=Termination(exit_code=0, started_at=NOON, finished_at=NOON),
    )  # fmt: skip
    for order in ([old, new], [new, old]):
        assert reason(decide(Sightings(lambda: NOON), newest(order))) == "Succeeded"


def test_a_pod_of_a_kube_job_that_was_deleted_is_not_the_new_ones_start() -> None:
    left = running("old", owner="before", seconds=9)
    both = newest([left, running("new")])
    assert both is not None
    assert reason(decide(Sightings(lambda: NOON), both)) == "Started"
    assert decide(Sightings(lambda: NOON), left) is None
