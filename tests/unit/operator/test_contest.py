"""Somebody else writes the replicas of a Deployment of ours."""

from rowlock_operator.decide.contest import CONTEST_SECONDS, WINDOW_SECONDS, Contest, ForeignWrite
from rowlock_operator.observed.deployments import observe_deployment


def write(generation: int, *, replicas: int = 2, at: str = "10:00:00", writer: str = "flux") -> ForeignWrite:
    return ForeignWrite(writer, at, replicas, generation)


def test_a_first_foreign_write_is_answered_at_once_and_not_named() -> None:
    contest = Contest().met(write(2), 0.0)
    assert contest.may_write(0.0)
    assert not contest.lasts(0.0)
    assert not contest.wrote(0.0).may_write(CONTEST_SECONDS - 1)
    assert contest.wrote(0.0).may_write(CONTEST_SECONDS)


def test_the_second_within_ten_minutes_is_named_and_answered_once_in_five() -> None:
    contest = Contest().met(write(2), 0.0).wrote(0.0).met(write(4, at="10:00:01"), 1.0)
    assert contest.lasts(1.0)
    assert contest.writer == "flux"
    assert not contest.may_write(1.0)
    assert contest.lasts(WINDOW_SECONDS - 1)
    assert not contest.lasts(WINDOW_SECONDS + 1), "nobody wrote for ten minutes"


def test_a_controller_that_writes_four_times_a_second_is_answered_twelve_times_an_hour_at_most() -> None:
    contest, answered, generation = Contest(), 0, 1
    for tick in range(4 * 3600):
        now = tick / 4
        contest = contest.met(write(generation, at=str(int(now))), now)
        if contest.may_write(now):
            contest, answered = contest.wrote(now), answered + 1
            generation += 2  # ours, and theirs again
    assert answered == 12
    assert contest.lasts(3600.0)


def test_one_sighting_counts_once_and_two_writes_of_one_second_count_twice() -> None:
    first = Contest().met(write(2), 0.0).met(write(2), 0.1)
    assert not first.lasts(0.1)
    assert not first.met(write(3), 0.2).lasts(0.2), "we changed something else of the object meanwhile"
    assert not first.wrote(0.2).met(write(2), 0.3).lasts(0.3), "a watch that is late"
    assert first.wrote(0.2).met(write(4), 0.3).lasts(0.3), (
        "the same number by the same hand in the same second, after ours"
    )
    assert first.met(write(3, replicas=5), 0.3).lasts(0.3)
    assert first.met(write(3, writer="kubectl"), 0.3).writer == "kubectl"


def test_writes_far_apart_are_slips_of_the_hand() -> None:
    contest = Contest()
    for hour in range(5):
        contest = contest.met(write(2 * hour, at=str(hour)), hour * 3600.0).wrote(hour * 3600.0)
        assert not contest.lasts(hour * 3600.0)


def test_the_last_writer_of_replicas_is_read_from_managed_fields_of_any_shape() -> None:
    replicas = {"f:spec": {"f:replicas": {}}}
    other = {"f:spec": {"f:template": {}}}
    fields = [
        {
            "manager": "rowlock-operator",
            "operation": "Update",
            "time": "2026-01-01T00:00:00Z",
            "fieldsV1": replicas,
        },
        {"manager": "argocd", "operation": "Apply", "time": "2026-01-02T00:00:00Z", "fieldsV1": replicas},
        {"manager": "kubectl", "operation": "Update", "time": "2026-01-03T00:00:00Z", "fieldsV1": other},
        {"manager": "nobody"},
    ]
    seen = observe_deployment({"metadata": {"name": "d", "managedFields": fields}})
    assert (seen.replicas_by, seen.replicas_at, seen.replicas_through) == (
        "argocd",
        "2026-01-02T00:00:00Z",
        "",
    )
    scaled = {
        "manager": "kube-controller-manager",
        "subresource": "scale",
        "time": "2026-01-04T00:00:00Z",
        "fieldsV1": replicas,
    }
    seen = observe_deployment({"metadata": {"name": "d", "managedFields": [*fields, scaled]}})
    assert (seen.replicas_by, seen.replicas_through) == ("kube-controller-manager", "scale")
    for empty in (None, [], [{}]):
        assert observe_deployment({"metadata": {"name": "d", "managedFields": empty}}).replicas_by == ""
