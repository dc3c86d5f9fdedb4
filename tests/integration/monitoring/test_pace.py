"""How fast and in whose name requests leave, over all worker processes together, by the site's own log."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowlock_jobs.work.monitoring.access import ProcessPace
from rowlock_web.pace.gate import SiteGate
from tests.integration.monitoring.counting import check_posted, statuses
from tests.integration.monitoring.processes import prepare, process, sql, started
from tests.integration.monitoring.stage import MonitoringStage
from tests.integration.work.ledger_attempt import LedgerAttempt, enqueue
from tests.services.process import wait_until
from tests.standins.llm import Running as RunningLlm
from tests.standins.website import Site

pytestmark = [pytest.mark.integration, pytest.mark.slow(75)]
SLOWLY = [
    {
        "name": "per-login",
        "key": "mymoment_login_id",
        "concurrency": 1,
        "rate": {"count": 2, "perSeconds": 4, "burst": 1},
    }
]


def mean_rate(stage: MonitoringStage) -> float:
    """Requests a second from the first to the last."""
    times = sorted(request["at"] for request in stage.site.requests)
    return (len(times) - 1) / (times[-1] - times[0])


@pytest.mark.parametrize("gate", ["on", "off"])
def test_all_workers_together_keep_the_pace_of_a_site(stage: MonitoringStage, gate: str) -> None:
    """Without the gate the same workers are far above it."""
    rate = 4
    stage.work("sessions")
    imports = ",".join([*stage.imports("monitoring"), "tests.integration.monitoring.crashing"])
    changes = {"rowlock_imports": imports} | ({"rowlock_test_no_gate": "1"} if gate == "off" else {})
    for worker in [stage.worker("monitoring", **changes) for _ in range(3)]:
        worker.wait_ready()
    stage.site.add_articles({"count": 24, "classes": [12]})
    stage.start(
        stage.wanted(
            logins=("ada", "ben"),
            article_limit=20,
            settings={"requests_per_second": rate, "discovery_interval_seconds": 60},
        )
    )
    wait_until(lambda: statuses(stage).get("generating", 0) == 40, "all articles are fetched", 60)
    if gate == "off":
        articles = sorted(
            request["at"] for request in stage.site.requests if request["path"].startswith("/article/")
        )
        assert (len(articles) - 1) / (articles[-1] - articles[0]) > rate * 1.3, (
            "the pace was kept without the gate: this test shows nothing"
        )
        return
    assert mean_rate(stage) <= rate * 1.05
    times = sorted(request["at"] for request in stage.site.requests)
    # Any three seconds; a request may arrive as late as its process gets the processor, one of each worker.
    assert max(sum(begin <= at < begin + 3 for at in times) for begin in times) <= 3 * rate + 4


@pytest.fixture
def slow_posting(
    database: str, redis_url: str, tmp_path: Path, site: Site, llm: RunningLlm
) -> Iterator[MonitoringStage]:
    made = MonitoringStage(database, redis_url, tmp_path, site, llm, posting=SLOWLY)
    yield made
    made.close()


def test_after_a_wait_that_the_site_asked_for_requests_come_one_by_one_again(database: str) -> None:
    """Those who waited for their turn when everybody was told to wait: without new turns all of them would
    come at once.
    """
    run = LedgerAttempt(database, enqueue(database, "any", {})).run
    url = prepare(database)
    wanted = process()
    identity, left, rate = started(url, wanted), [], 4

    def go() -> None:
        login_id = wanted["logins"][0]["id"]
        pace = ProcessPace(run, process_id=identity, site="site.example", login_id=login_id)
        SiteGate(pace, site="site.example", requests_per_second=rate, check=run.check).acquire()
        left.append(time.monotonic())

    threads = [threading.Thread(target=go) for _ in range(7)]
    for thread in threads:
        thread.start()
    wait_until(lambda: left, "the first one goes", 10)
    sql(url, "select monitoring.hold_v1('site.example', null, 3)")
    held = time.monotonic()
    for thread in threads:
        thread.join(30)
    after = sorted(at for at in left if at > held + 0.3)
    assert len(after) >= 5
    assert after[0] > held + 2.5
    assert after[-1] - after[0] > (len(after) - 1) / rate - 0.4, "they came at once"


def test_a_login_comments_at_its_own_pace_and_another_does_not_wait_for_it(
    slow_posting: MonitoringStage,
) -> None:
    stage = slow_posting
    stage.start(stage.wanted(logins=("ada", "ben")))
    stage.work("monitoring", "comments", "comments", "sessions")
    stage.wait_count("generated", 6)
    stage.approve()
    stage.wait_count("posted", 6)
    times = {
        name: [each["at"] for each in stage.posted() if each["login"] == name] for name in ("ada", "ben")
    }
    for name, at in times.items():
        assert at[2] - at[0] > 3, (
            f"{name} posted three comments in {at[2] - at[0]:.1f} s; two in four seconds are allowed"
        )
    assert abs(times["ada"][0] - times["ben"][0]) < 3, "one login waited for the other"
    check_posted(stage)


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_login_is_used_by_no_more_runs_at_once_than_allowed(stage: MonitoringStage, allowed: int) -> None:
    stage.site.fault(slow_seconds=0.15)
    stage.site.add_articles({"count": 8, "classes": [12]})
    stage.work("monitoring", "monitoring", "monitoring", "comments", "sessions")
    stage.start(stage.wanted(generate_only=False, article_limit=8, settings={"login_concurrency": allowed}))
    most = 0

    def done() -> bool:
        nonlocal most
        ((uses,),) = stage.sql("select count(*) from monitoring.login_use")
        most = max(most, int(uses))
        return stage.count("posted") == 8

    wait_until(done, "all are posted", 60)
    assert most == allowed
    check_posted(stage)
    wait_until(
        lambda: stage.sql("select count(*) from monitoring.login_use") == [(0,)],
        "the last run gave its login back",
    )


def test_a_second_process_starts_within_ten_seconds_while_the_first_one_floods(
    stage: MonitoringStage,
) -> None:
    stage.site.add_articles({"count": 90, "classes": [12]})
    stage.work("monitoring", "monitoring", "comments", "sessions")
    pace = {"requests_per_second": 4}
    stage.start(stage.wanted(logins=("ada",), prompts=2, article_limit=90, settings=pace))
    wait_until(lambda: stage.count() == 180 and stage.count("generated") > 4, "the first one floods", 40)
    began = time.time()
    stage.start(stage.wanted(logins=("cleo",), name="second", owner="other", settings=pace))

    def first_article() -> float:
        return min(
            (
                r["at"]
                for r in stage.site.requests
                if r["login"] == "cleo" and r["path"].startswith("/article/")
            ),
            default=0,
        )

    wait_until(first_article, "the second one fetches an article", 40)
    waiting = stage.count("discovered") + stage.count("preparing")
    assert waiting > 10, "the first one had finished: this test shows nothing"
    assert first_article() - began < 10, f"it waited {first_article() - began:.1f} s"
