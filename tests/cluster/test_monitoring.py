"""MonitoringProcesses on the real cluster: schedules, an upgrade that takes them away and brings them back,
workers that are killed.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.monitored import LOGINS, WORKERS, owned, process, statuses, times, wanted
from tests.cluster.release import Object, Release, condition
from tests.cluster.test_release import privileges
from tests.services.process import wait_until
from tools.demo.monitoring_checks import discloses
from tools.demo.session import Session
from tools.demo.standins import StandIns

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
CRON_JOB = "rowlock-check-process-timeouts"
SECRET = "rowlock-encryption"  # noqa: S105 - its name
KILLED = "faults-killed"
SEED, KILLING_SECONDS, PAUSE_SECONDS = 5, 45.0, 2.5


@pytest.fixture(scope="module")
def standins(cluster: str, release: Release) -> Iterator[StandIns]:
    made = StandIns(Session(cluster))
    made.deploy()
    yield made
    release.kubectl("delete", "monitoringprocesses", "-l", "rowlock-tests=cluster")
    made.remove()


def ticks(release: Release, *, schedule: str = "check-process-timeouts") -> dict[str, str]:
    """Tick -> state of its run."""
    rows = owned(
        release,
        f"""select t.tick, coalesce(r.state, 'none') from monitoring.tick t
          left join rowlock.run r on r.id = t.run_id
             where t.schedule = '{schedule}' and t.created_at > now() - interval '50 minutes'
               order by t.created_at""",
    )
    return {row[0]: row[1] for row in rows}


def run_tick(release: Release, job: str) -> str:
    """The log of a Job made of the schedule by hand, read while it runs: of the Jobs of a CronJob that have
    ended, its controller keeps the newest alone.
    """
    release.delete("job", job)
    release.kubectl("create", "job", job, f"--from=cronjob/{CRON_JOB}")
    return release.kubectl("logs", "--follow", "--pod-running-timeout=60s", f"job/{job}")


def test_a_minute_of_the_schedule_is_one_run_however_often_its_pod_comes(release: Release) -> None:
    wait_until(
        lambda: "succeeded" in ticks(release).values(),
        "a tick of the CronJob became a run that succeeded",
        150,
    )
    tick = next(tick for tick, state in ticks(release).items() if state == "succeeded")
    assert tick.removeprefix(f"{CRON_JOB}-").isdigit(), (
        "known by its scheduled minute, not by when its pod came"
    )
    count = (
        "select count(*) from rowlock.run where task = 'check_process_timeouts' and source_key like"
        f" '%{tick}'"
    )
    assert f"tick {tick} was taken before" in run_tick(release, tick)
    assert owned(release, count) == [["1"]]
    another = f"faults-tick-{random.randrange(10**6)}"  # noqa: S311
    assert re.search(r"run [0-9a-f-]{36}", run_tick(release, another)), "another name is another tick"
    release.delete("job", another)


@dataclass(frozen=True)
class Upgraded:
    """The encryption Secret's data before, while it was off, and after; what there was while it was off."""

    before: Object
    off: Object
    after: Object
    cron_jobs_off: list[str]
    sources_off: list[str]
    said_off: str


@pytest.fixture(scope="module")
def off_and_on(release: Release, standins: StandIns) -> Iterator[Upgraded]:
    """domain.monitoring taken away and brought back, with all schedules suspended and in another time zone,
    until the end of the module.
    """

    def upgrade(*settings: str) -> None:
        given = [f"--set=domain.monitoring.{setting}" for setting in settings]
        release.helm(
            "upgrade", "rowlock", "charts/rowlock", "--reuse-values", "--wait", "--timeout=200s", *given
        )

    def key() -> Object:
        return dict(json.loads(release.kubectl("get", "secret", SECRET, "-o", "json"))["data"])

    def names(kind: str) -> list[str]:
        return release.kubectl(
            "get", kind, "-l", "app.kubernetes.io/component=monitoring", "-o", "name"
        ).split()

    # Written before, so that its accounts are encrypted by the key of before.
    release.apply(process(KILLED, prompts=2, generateOnly=False, maxDurationMinutes=20, state="Stopped"))
    wait_until(
        lambda: owned(release, f"select 1 from monitoring_processes where name = '{KILLED}' and is_active"),
        "it is in the database",
    )
    before = key()
    upgrade("enabled=false")

    def ready() -> Object:
        return condition(release.find("monitoringprocesses", KILLED), "Ready")

    wait_until(lambda: ready().get("status") == "False", "the process says that nobody serves it", 60)
    off = (key(), names("cronjobs"), names("rowsources"), str(ready().get("message")))
    upgrade("enabled=true", "schedules.suspend=true", "schedules.timeZone=Europe/Zurich")
    yield Upgraded(before, off[0], key(), off[1], off[2], off[3])
    upgrade("schedules.suspend=false", "schedules.timeZone=Etc/UTC")


def test_an_upgrade_that_takes_monitoring_away_and_back_keeps_the_key_of_what_was_encrypted(
    release: Release, off_and_on: Upgraded
) -> None:
    assert off_and_on.before["keys"]
    assert off_and_on.before == off_and_on.off == off_and_on.after
    assert (off_and_on.cron_jobs_off, off_and_on.sources_off) == ([], [])
    assert "domain.monitoring" in off_and_on.said_off, "the remedy"
    schedules = {
        j["metadata"]["name"]: j["spec"]
        for j in release.objects("cronjobs", "app.kubernetes.io/component=monitoring")
    }
    assert len(schedules) == 4
    assert {(spec["suspend"], spec["timeZone"]) for spec in schedules.values()} == {(True, "Europe/Zurich")}


def test_comments_are_posted_once_each_while_worker_pods_are_killed_at_random(
    release: Release, off_and_on: Upgraded, standins: StandIns
) -> None:
    dice, killed, not_hardened = random.Random(SEED), 0, set[str]()  # noqa: S311
    ticks_before, began = ticks(release), time.monotonic()
    standins.write(12, 13)
    release.kubectl(
        "patch", "monitoringprocess", KILLED, "--type=merge", "-p", '{"spec": {"state": "Running"}}'
    )
    end = began + KILLING_SECONDS
    while time.monotonic() < end:
        time.sleep(PAUSE_SECONDS * dice.uniform(0.5, 1.5))
        there = release.pods(WORKERS)
        not_hardened |= {f"{name}: {wrong}" for name, pod in there.items() for wrong in privileges(pod)}
        if there:
            release.force_delete(dice.choice(sorted(there)))
            killed += 1
    assert killed >= 5, "there was nothing to kill"
    assert not_hardened == set()
    articles = standins.articles()
    comments = 2 * wanted(articles).total()

    def ended() -> bool:
        return (
            sum(
                n
                for status, n in statuses(release, KILLED).items()
                if status in ("posted", "unknown", "failed")
            )
            == comments
        )

    try:
        wait_until(ended, "every comment has its end", 150)
    except AssertionError as error:
        raise AssertionError(
            f"{error}; seed {SEED}, {killed} killed, {statuses(release, KILLED)} of {comments}"
        ) from None
    told = f"seed {SEED}, {killed} killed, {statuses(release, KILLED)}"
    assert statuses(release, KILLED).get("failed", 0) == 0, told
    resolve_unknown(release)
    assert statuses(release, KILLED) == {"posted": comments}, told
    posted = standins.posted()
    assert times(posted) == Counter({pair: 2 * n for pair, n in wanted(articles).items()}), (
        f"nothing twice, nothing lost; {told}"
    )
    assert all(discloses(comment.text) for comment in posted)
    assert {comment.login for comment in posted} == set(LOGINS)
    wait_until(lambda: time.monotonic() > began + 65, "the moment of a tick is over", 70)
    assert set(ticks(release)) <= set(ticks_before), "a suspended schedule has ticked"


def resolve_unknown(release: Release) -> None:
    """As a person does: asks for the comments of which nobody knows; their task looks at the article before
    it posts.
    """
    unknown = "select c.id from ai_comments c where status = 'unknown'"
    for (identity,) in owned(release, unknown):
        release.rowlock("comments", "post", identity, "--yes", "--by", "tests")
    wait_until(
        lambda: not owned(release, unknown) and set(statuses(release, KILLED)) == {"posted"},
        "what was unknown is posted",
        90,
    )
