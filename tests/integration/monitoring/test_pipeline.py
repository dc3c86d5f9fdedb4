"""From a started process to comments on the site, through the ledger, real workers, and the site's own
log.
"""

import pytest

from rowlock_operator.api.monitoring_process import DISCLOSURE
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def test_a_process_finds_articles_writes_comments_and_posts_those_that_were_approved(
    stage: MonitoringStage,
) -> None:
    stage.work()
    stage.start(stage.wanted(logins=("ada", "ben"), prompts=2))
    stage.wait_count("generated", 2 * 2 * 3)
    assert stage.posted() == [], "generate-only posted by itself"
    two = [str(i) for (i,) in stage.sql("select id from ai_comments order by mymoment_login_id, id limit 2")]
    assert stage.approve(*two) == 2
    stage.wait_count("posted", 2)
    assert len(stage.posted()) == 2
    rows = dict(
        stage.sql(
            "select c.mymoment_comment_id, l.name from ai_comments c join mymoment_logins l on l.id ="
            " c.mymoment_login_id where c.status = 'posted'"
        )
    )
    assert {str(comment["id"]): comment["login"] for comment in stage.posted()} == rows, (
        "each in its own login's name"
    )
    assert all(DISCLOSURE in comment["text"] for comment in stage.posted())


def test_a_process_that_may_posts_by_itself(stage: MonitoringStage) -> None:
    stage.work()
    stage.start(stage.wanted(generate_only=False))
    stage.wait_count("posted", 3)
    assert sorted(comment["article"] for comment in stage.posted()) == sorted(
        {comment["article"] for comment in stage.posted()}
    )


def test_articles_that_appear_while_it_runs_are_found_and_one_fetch_serves_all_rows(
    stage: MonitoringStage,
) -> None:
    stage.work()
    stage.start(stage.wanted(logins=("ada", "ben"), prompts=2, article_limit=20))
    stage.wait_count("generated", 2 * 2 * 3)
    stage.site.add_articles({"count": 2, "classes": [12]})
    stage.sql("update monitoring_processes set next_discovery_at = now()")
    stage.wait_count("generated", 2 * 2 * 5)
    fetches = [request for request in stage.site.requests if request["path"].startswith("/article/")]
    assert len(fetches) == len({request["path"] for request in fetches}), (
        "an article was fetched more than once"
    )
    assert stage.sql("select sum(full_logins) from mymoment_logins") == [(2,)], "one full login a login"


def test_a_stopped_process_sends_nothing_more_and_goes_on_where_it_was(stage: MonitoringStage) -> None:
    stage.site.fault(slow_seconds=0.2)
    stage.llm.llm.add_fault("slow", None, seconds=1)  # twelve comments in hand for at least as many seconds
    stage.work()
    wanted = stage.wanted(logins=("ada", "ben"), prompts=2, settings={"requests_per_second": 5})
    identity = stage.start(wanted)
    under_way = ("prepared", "generating", "generated")
    wait_until(lambda: any(stage.count(status) for status in under_way), "an article has been read", 40)
    assert stage.count("generated") < 12, "there is work left to stop"
    stage.sql("select monitoring.stop_v1(%s, 'stopped', 'Stopped')", identity)
    stopped = stage.sql("select extract(epoch from stopped_at)::float8 from monitoring_processes")[0][0]
    active = (
        "select count(*) from rowlock.active where task in ('periodic_monitoring_check',"
        " 'prepare_article_content', 'generate_comments_for_process')"
    )
    wait_until(lambda: stage.sql(active) == [(0,)], "its runs have ended", 30)
    last = max(request["at"] for request in stage.site.requests)
    assert last - stopped < 5, f"a request {last - stopped:.1f} s after the stop"
    wait_until(
        lambda: stage.count("preparing") == stage.count("generating") == 0,
        "the rows are back where they were",
        10,
    )
    before = stage.count()
    stage.llm.llm.faults.clear()
    stage.start(wanted)
    wait_until(lambda: stage.count("generated") == stage.count() >= before, "it went on and finished", 40)


def test_a_comment_approved_by_hand_is_posted_after_the_process_has_ended(stage: MonitoringStage) -> None:
    stage.work()
    identity = stage.start(stage.wanted())
    stage.wait_count("generated", 3)
    stage.sql("select monitoring.stop_v1(%s, 'completed', 'DurationReached')", identity)
    assert stage.approve() == 3
    stage.wait_count("posted", 3)
    assert len(stage.posted()) == 3
