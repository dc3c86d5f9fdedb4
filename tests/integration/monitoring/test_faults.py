"""What a site and a model may do to the pipeline, judged by their own logs."""

from typing import Any

import pytest

from tests.integration.monitoring.counting import active, check_agreed, check_posted, requeue, statuses
from tests.integration.monitoring.processes import apply
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow(100)]
POST = "post_comments_for_process"


def requests(stage: MonitoringStage, method: str, path: str) -> list[dict[str, Any]]:
    """The site's own log."""
    return [
        request
        for request in stage.site.requests
        if request["method"] == method and request["path"].startswith(path)
    ]


def comment_posts(stage: MonitoringStage) -> int:
    return sum(request["path"].endswith("/comment/") for request in requests(stage, "POST", "/article/"))


def login_posts(stage: MonitoringStage) -> int:
    return len(requests(stage, "POST", "/accounts/login/"))


def generated(stage: MonitoringStage, **changes: Any) -> dict[str, Any]:
    """A process whose comments wait for approval."""
    wanted = stage.wanted(**changes)
    stage.start(wanted)
    stage.work()
    stage.wait_count("generated", len(wanted["logins"]) * len(wanted["prompts"]) * wanted["article_limit"])
    return wanted


def another_look(stage: MonitoringStage) -> None:
    """A discovery, by whatever login can."""
    looks = len(requests(stage, "GET", "/articles/"))

    def looked() -> bool:
        stage.sql("update monitoring_processes set next_discovery_at = now() where next_discovery_at > now()")
        return len(requests(stage, "GET", "/articles/")) > looks

    wait_until(looked, "another look at the site", 30)


def error(stage: MonitoringStage) -> str:
    """The one error of the rows."""
    ((found,),) = stage.sql("select distinct error_message from ai_comments where error_message is not null")
    return str(found)


# -- the answer of a POST


@pytest.mark.parametrize("fault", ["drop_after_post", "error_after_post"])
def test_a_comment_whose_answer_was_lost_is_found_on_the_page(stage: MonitoringStage, fault: str) -> None:
    generated(stage, article_limit=1)
    stage.site.fault(**{fault: 1})
    stage.approve()
    stage.wait_count("posted", 1)
    assert comment_posts(stage) == 1
    check_agreed(stage)
    ((found,),) = stage.sql("select result->>'found_on_the_page' from rowlock.run where task = %s", POST)
    assert found == "true"


def test_a_comment_that_nobody_can_see_after_a_lost_answer_is_unknown_and_posted_by_a_person_only(
    stage: MonitoringStage,
) -> None:
    generated(stage, article_limit=1)
    stage.site.fault(drop_before_post=1)
    stage.approve()
    stage.wait_count("unknown", 1)
    assert "answer" in error(stage)
    ((shown,),) = stage.sql(
        "select counts->>'unknown' from monitoring.status_v1(array(select id from monitoring_processes))"
    )
    assert shown == "1"
    wait_until(lambda: active(stage, POST) == 0, "nothing repeats it", 10)
    assert comment_posts(stage) == 1
    assert stage.posted() == []
    looks = len(requests(stage, "GET", "/article/"))
    requeue(stage, "unknown")
    stage.wait_count("posted", 1)
    assert len(requests(stage, "GET", "/article/")) > looks, "it was posted without a look"
    check_posted(stage)


def test_a_refused_comment_fails_with_the_sites_words(stage: MonitoringStage) -> None:
    generated(stage, article_limit=1)
    stage.site.fault(refuse_comments="Kommentare sind heute geschlossen.")
    stage.approve()
    stage.wait_count("failed", 1)
    assert "Kommentare sind heute geschlossen" in error(stage)
    assert comment_posts(stage) == 1, "a refused comment was sent again"
    stage.site.fault(refuse_comments=None)
    requeue(stage, "dead")
    stage.wait_count("posted", 1)
    check_agreed(stage)


def test_a_session_that_ends_before_the_post_costs_one_login_and_no_comment(stage: MonitoringStage) -> None:
    generated(stage, article_limit=2)
    before = login_posts(stage)
    stage.site.fault(expire_before_post=1)
    stage.approve()
    stage.wait_count("posted", 2)
    assert login_posts(stage) == before + 1
    check_posted(stage)
    check_agreed(stage)


def test_sessions_that_end_in_the_middle_cost_one_login_each(stage: MonitoringStage) -> None:
    generated(stage, logins=("ada", "ben"), article_limit=2)
    stage.wait_count("generated", 4)
    before = login_posts(stage)
    stage.site.fault(expire_sessions=True)
    stage.approve()
    stage.wait_count("posted", 4)
    assert login_posts(stage) == before + 2
    check_posted(stage)


def test_comments_of_a_process_that_may_not_post_any_more_wait_for_a_person(stage: MonitoringStage) -> None:
    """Changed to generate-only while they were approved by the process itself: neither posted nor taken again
    and again.
    """
    generated(stage)
    stage.sql("update ai_comments set approval = 'approved', approved_by = 'process', approved_at = now()")
    wait_until(
        lambda: stage.sql("select distinct status, approval from ai_comments") == [("generated", "waiting")],
        "they wait again",
        20,
    )
    wait_until(lambda: active(stage, POST) == 0, "no run is left", 10)
    assert stage.posted() == []
    assert stage.sql("select count(*) from rowlock.done where task = %s", POST) == [(3,)]


# -- logins


def test_a_wrong_password_is_tried_three_times_in_all_and_then_a_person_is_asked(
    stage: MonitoringStage,
) -> None:
    wanted = stage.wanted(logins=("ada", "ben"))
    wanted["logins"][0] = stage.login("ada", "not the password")
    stage.start(wanted)
    stage.work()
    tries = (
        "select state, failed_logins, extract(epoch from next_login_at - now())::int from mymoment_logins"
        " where name = 'ada'"
    )

    def wrong() -> int:
        return int(stage.site.wrong["ada"])

    for number, minutes in enumerate((1, 5), start=1):
        wait_until(lambda number=number: stage.sql(tries)[0][1] == number, f"try {number} was refused", 30)  # type: ignore[misc]
        ((state, _, seconds),) = stage.sql(tries)
        assert state == "backing_off"
        assert minutes * 60 - 30 < seconds <= minutes * 60
        another_look(stage)  # with the other login; the refused one is left in peace
        assert wrong() == number, "a refused login was hammered"
        stage.sql("update mymoment_logins set next_login_at = now() where name = 'ada'")
        another_look(stage)
    wait_until(lambda: stage.sql(tries)[0][0] == "needs_reauth", "a person is asked", 30)
    stage.sql("update mymoment_logins set next_login_at = now() where name = 'ada'")
    another_look(stage)
    another_look(stage)
    assert wrong() == 3, "a login that needs a person was tried"
    assert stage.sql(
        "select needs_reauth from monitoring.status_v1(array(select id from monitoring_processes))"
    ) == [(["ada"],)]
    apply(stage.url, wanted | {"logins": [stage.login("ada"), wanted["logins"][1]]})
    another_look(stage)
    wait_until(
        lambda: stage.sql("select count(*) from mymoment_sessions where is_active") == [(2,)],
        "the corrected Secret counts at once",
        30,
    )


def test_a_locked_login_needs_a_person_at_once(stage: MonitoringStage) -> None:
    stage.site.fault(locked=["ada"])
    stage.start(stage.wanted())
    stage.work()
    wait_until(
        lambda: stage.sql("select state from mymoment_logins") == [("needs_reauth",)], "a person is asked", 20
    )
    ((message,),) = stage.sql("select last_error from mymoment_logins")
    assert "locked" in message
    assert login_posts(stage) == 1
    failed = ("failed", "NeedsReauth")
    wait_until(
        lambda: stage.sql("select status, status_reason from monitoring_processes") == [failed],
        "it fails without any login",
        20,
    )


# -- the site


def test_nobody_sends_while_the_site_asks_everybody_to_wait(stage: MonitoringStage) -> None:
    stage.start(stage.wanted(logins=("ada", "ben"), article_limit=3))
    stage.work("monitoring", "monitoring", "comments", "sessions")
    stage.wait_count("generated", 6)
    stage.site.fault(rate_limit={"times": 1, "retry_after": 4})
    stage.approve()
    stage.sql("update monitoring_processes set next_discovery_at = now()")
    stage.wait_count("posted", 6)
    (refused,) = [request["at"] for request in stage.site.requests if request["status"] == 429]
    # A request that was on its way when the answer came is nobody's fault.
    early = [
        request["at"] - refused
        for request in stage.site.requests
        if refused + 0.5 < request["at"] < refused + 3.9
    ]
    assert early == [], "requests within the time that the site asked for"
    check_posted(stage)
    check_agreed(stage)


def test_a_site_that_fails_now_and_then_loses_no_comment(stage: MonitoringStage) -> None:
    stage.site.fault(errors={"times": 2, "status": 500, "path": "/article"}, slow_seconds=0.1)
    stage.work()
    stage.start(stage.wanted())
    stage.wait_count("generated", 3)
    stage.site.fault(errors={"times": 2, "status": 503, "path": "/article/", "method": "GET"})
    stage.approve()
    stage.wait_count("posted", 3)
    check_posted(stage)
    check_agreed(stage)
    assert login_posts(stage) == 1, "an error of the site is no reason to log in again"


def test_a_new_layout_is_named_and_no_comment_is_lost(stage: MonitoringStage) -> None:
    generated(stage, article_limit=1)
    stage.site.fault(changed_layout=True)
    stage.approve()
    stage.sql("update monitoring_processes set next_discovery_at = now()")
    stage.wait_count("failed", 1)
    assert "layout" in error(stage)
    told = "select last_error from monitoring.status_v1(array(select id from monitoring_processes))"
    wait_until(lambda: str(stage.sql(told)[0][0]).startswith("LayoutChanged: "), "the process says so", 20)
    assert comment_posts(stage) == 0
    stage.site.fault(changed_layout=None)
    requeue(stage, "dead")
    stage.wait_count("posted", 1)
    check_agreed(stage)


def test_an_article_that_was_deleted_meanwhile_fails_alone(stage: MonitoringStage) -> None:
    """Its rows by every login that had seen it, each with the reason."""
    stage.site.fault(canned={"/article/5/": {"status": 404}})
    stage.work()
    stage.start(stage.wanted(logins=("ada", "ben"), prompts=2, article_limit=2))
    wait_until(
        lambda: statuses(stage) == {"failed": 4, "generated": 4}, "its rows fail, the others go on", 30
    )
    assert stage.sql("select distinct mymoment_article_id from ai_comments where status = 'failed'") == [
        ("5",)
    ]
    assert "deleted" in error(stage)
