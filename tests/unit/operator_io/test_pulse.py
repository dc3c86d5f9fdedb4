"""When a silent watch makes the probes fail."""

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.cluster.pulse import REFUSAL_EXPLAINS_SECONDS, SILENT_AFTER_SECONDS, Pulse

QUEUES, SOURCES = WORK_QUEUES.path("shop"), ROW_SOURCES.path("shop")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pulse() -> tuple[Pulse, Clock]:
    clock = Clock()
    return Pulse((WORK_QUEUES, ROW_SOURCES), ("shop",), clock), clock


def test_a_watch_that_never_opened_or_went_silent_fails_liveness_after_the_bound() -> None:
    watched, clock = pulse()
    clock.now = SILENT_AFTER_SECONDS
    assert watched.live() == (True, "watches move")
    clock.now += 1
    watched.heard(QUEUES)
    ok, reason = watched.live()
    assert not ok
    assert reason == f"the watch of {SOURCES} has been silent for 181 s"
    assert watched.ages() == {"workqueues": 0.0, "rowsources": 181.0}
    watched.heard(SOURCES)
    assert watched.live()[0]


def test_an_api_server_that_refuses_aloud_makes_us_unready_and_not_dead() -> None:
    watched, clock = pulse()
    clock.now = 1000.0
    for path in (QUEUES, SOURCES):
        watched.refused(path, "HTTP 503")
    assert watched.live()[0]
    assert watched.ready() == (False, f"the watch of {QUEUES} has been silent for 1000 s (HTTP 503)")
    clock.now += REFUSAL_EXPLAINS_SECONDS + 1
    assert not watched.live()[0]


def test_paths_of_others_are_not_counted() -> None:
    watched, clock = pulse()
    clock.now = 1000.0
    watched.heard("/apis/rowlock.dev/v1alpha1/namespaces/other/workqueues")
    watched.refused("/version", "HTTP 403")
    assert set(watched.ages().values()) == {1000.0}
    assert not watched.live()[0]
