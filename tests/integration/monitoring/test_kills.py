"""kill -9 of a worker at each step of each task, judged by the site's own log."""

from pathlib import Path

import pytest

from tests.integration.monitoring.counting import active, check_agreed, check_posted, requeue, statuses
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until
from tests.services.worker import RunningWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow(120)]
POST = "post_comments_for_process"
POST_REQUEST = "POST /article/N/comment/"


def journal(stage: MonitoringStage) -> list[str]:
    """The steps at which a process died."""
    path = stage.folder / "deaths"
    return path.read_text().splitlines() if path.exists() else []


def crashing(
    stage: MonitoringStage, queue: str, *tasks: str, steps: str = "", **changes: str
) -> RunningWorker:
    """A worker that dies at each of these steps once."""
    imports = ",".join([*stage.imports(queue), "tests.integration.monitoring.crashing"])
    told = {
        "rowlock_test_crash_tasks": ",".join(tasks),
        "rowlock_test_crash_steps": steps,
        "rowlock_test_crash_journal": str(Path(stage.folder, "deaths")),
    }
    return stage.worker(queue, rowlock_imports=imports, **told, **changes)


def test_posting_killed_at_each_step_posts_each_comment_once(stage: MonitoringStage) -> None:
    stage.start(stage.wanted(logins=("ada", "ben")))
    stage.work()
    stage.wait_count("generated", 6)
    stage.workers[1].stop()
    crashing(stage, "comments", POST).wait_ready()
    stage.approve()

    def all_posted() -> bool:
        requeue(stage, "unknown")  # a person, who has nothing to look up: the task looks at the site first
        return statuses(stage) == {"posted": 6} and active(stage) == 0

    wait_until(all_posted, f"all are posted; rows {statuses(stage)}, deaths {len(journal(stage))}", 60)
    died = journal(stage)
    assert {f"{POST}: {when} {POST_REQUEST}" for when in ("before", "after")} <= set(died)
    assert {
        f"{POST}: {when} {step}"
        for when in ("before", "after")
        for step in ("begin_effect", "posting_begins", "posted", "finish")
    } <= set(died)
    check_posted(stage)
    check_agreed(stage)


def test_writing_killed_at_each_step_loses_no_comment(stage: MonitoringStage) -> None:
    tasks = ("prepare_article_content", "generate_comments_for_process")
    stage.start(stage.wanted(logins=("ada", "ben"), prompts=2))
    stage.work("sessions")
    for worker in [crashing(stage, queue, *tasks) for queue in ("monitoring", "comments")]:
        worker.wait_ready()
    wait_until(lambda: statuses(stage) == {"generated": 12} and active(stage) == 0, "all are generated", 60)
    died = journal(stage)
    assert {
        f"{tasks[0]}: before GET /article/N/",
        f"{tasks[0]}: after prepared",
        f"{tasks[0]}: before finish",
    } <= set(died), died
    assert {
        f"{tasks[1]}: after asking the model",
        f"{tasks[1]}: after generated",
        f"{tasks[1]}: after finish",
    } <= set(died), died
    assert stage.posted() == []


def test_starting_discovering_and_stopping_killed_at_each_step_go_on(stage: MonitoringStage) -> None:
    tasks = (
        "start_monitoring_process",
        "periodic_monitoring_check",
        "initialize_process_sessions",
        "stop_monitoring_process",
        "terminate_process_sessions",
    )
    for worker in [crashing(stage, queue, *tasks) for queue in ("monitoring", "sessions")]:
        worker.wait_ready()
    identity = stage.start(stage.wanted(article_limit=2))
    fetched = {"generating": 2}  # claimed for a queue that has no worker here
    wait_until(
        lambda: statuses(stage) == fetched and active(stage, *tasks) == 0,
        "the articles are found and fetched",
        60,
    )
    assert stage.sql("select discovery_state, next_discovery_at > now() from monitoring_processes") == [
        ("idle", True)
    ]
    stage.sql("select monitoring.stop_v1(%s, 'stopped', 'Stopped')", identity)
    wait_until(lambda: active(stage, *tasks) == 0, "the stop is through", 30)
    died = journal(stage)
    assert {
        f"{tasks[0]}: after run_process",
        f"{tasks[1]}: after discovered",
        f"{tasks[4]}: after close_sessions",
    } <= set(died)
    assert any("POST /accounts/login/" in step for step in died), "nobody died while it logged in"
    assert any("after session_open" in step for step in died), "nobody died with a session that was just kept"
    assert stage.sql("select status, count(*) over () from monitoring_processes") == [("stopped", 1)]
    assert stage.sql("select count(*) from mymoment_sessions where is_active") == [(0,)]
    assert stage.sql("select count(*) from rowlock.run where state in ('dead', 'unknown')") == [(0,)]


def test_a_worker_killed_with_its_parent_around_the_post_leaves_nothing_behind(
    stage: MonitoringStage,
) -> None:
    # a login posts one at a time: all three at once
    stage.start(stage.wanted(logins=("ada", "ben", "cleo"), article_limit=1))
    stage.work()
    stage.wait_count("generated", 3)
    stage.workers.pop(1).stop()
    dying = [
        crashing(
            stage, "comments", POST, steps=f"{POST_REQUEST},before finish", rowlock_test_crash_whom="worker"
        )
        for _ in range(3)
    ]
    for worker in dying:
        worker.wait_ready()
    stage.approve()
    wait_until(lambda: sum(worker.alive for worker in dying) == 0, "all three workers are killed", 30)
    wait_until(lambda: statuses(stage) == {"unknown": 3}, "the rows say that nobody knows", 30)
    assert len(stage.posted()) == 2, "one of them died before its POST"
    stage.work("comments")
    assert requeue(stage, "unknown") == 3
    wait_until(
        lambda: statuses(stage) == {"posted": 3}, "each was looked up, and posted where it was not there", 30
    )
    check_posted(stage)
    check_agreed(stage)


@pytest.mark.parametrize("effect", ["begun", "off"])
def test_a_crash_after_the_post_posts_twice_without_begin_effect(stage: MonitoringStage, effect: str) -> None:
    """The site shows comments late, so that looking at the page saves nobody: with the effect begun the row
    is unknown, without it there are two comments.
    """
    stage.start(stage.wanted(article_limit=1))
    stage.work("monitoring", "sessions")
    changes = {"rowlock_test_blind": "1"} | ({"rowlock_test_no_effect": "1"} if effect == "off" else {})
    crashing(stage, "comments", POST, steps=f"after {POST_REQUEST}", **changes).wait_ready()
    stage.wait_count("generated", 1)
    stage.approve()
    ended = "posted" if effect == "off" else "unknown"
    wait_until(lambda: statuses(stage) == {ended: 1} and active(stage, POST) == 0, f"the row is {ended}", 30)
    check_posted(stage, doubled=1 if effect == "off" else 0)
    assert len(stage.posted()) == (2 if effect == "off" else 1)


def test_a_stop_during_a_crash_is_kept(stage: MonitoringStage) -> None:
    identity = stage.start(stage.wanted(generate_only=False, logins=("ada", "ben")))
    stage.work("monitoring", "sessions")
    crashing(stage, "comments", POST, steps="before begin_effect").wait_ready()
    wait_until(lambda: journal(stage), "somebody died before a POST", 40)
    stage.sql("select monitoring.stop_v1(%s, 'stopped', 'Stopped')", identity)
    ((stopped,),) = stage.sql("select extract(epoch from stopped_at)::float8 from monitoring_processes")
    wait_until(lambda: active(stage) == 0, "its runs have ended", 30)
    halfway = {"preparing", "generating", "posting", "unknown"}
    wait_until(lambda: not halfway & set(statuses(stage)), "no row is left half-way", 10)
    late = [request for request in stage.site.requests if request["at"] > stopped + 5]
    assert late == [], "requests more than five seconds after the stop"
    check_posted(stage)
    check_agreed(stage)


def test_a_soft_limit_in_the_middle_of_a_post_is_no_reason_to_post_again(stage: MonitoringStage) -> None:
    """The site shows comments late: looking at the page would not save it."""
    generated_one(stage)
    imports = ",".join([*stage.imports("comments"), "tests.integration.monitoring.crashing"])
    stage.worker(
        "comments",
        rowlock_imports=imports,
        rowlock_test_late="1",
        rowlock_test_blind="1",
        rowlock_soft_seconds="4",
    ).wait_ready()
    stage.approve()
    wait_until(
        lambda: statuses(stage) == {"unknown": 1} and active(stage, POST) == 0,
        "nobody knows what became of it",
        30,
    )
    assert len(stage.posted()) == 1
    ((reason,),) = stage.sql("select failure->>'reason' from rowlock.done where state = 'unknown'")
    assert reason == "SoftTimeLimit"


def generated_one(stage: MonitoringStage) -> None:
    """One comment that waits for approval, and nobody who would post it."""
    stage.start(stage.wanted(article_limit=1))
    stage.work()
    stage.wait_count("generated", 1)
    stage.workers.pop(1).stop()
