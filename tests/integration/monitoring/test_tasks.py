"""Every task by its known name, enqueued by hand: on its own queue, and on the default queue."""

from typing import Any

import pytest

from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until
from tests.services.worker import RunningWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

QUEUES = {
    "monitoring": [
        "start_monitoring_process",
        "stop_monitoring_process",
        "periodic_monitoring_check",
        "prepare_article_content",
        "cleanup_old_articles",
    ],
    "comments": ["generate_comments_for_process", "post_comments_for_process"],
    "sessions": [
        "initialize_process_sessions",
        "terminate_process_sessions",
        "cleanup_expired_sessions",
        "cleanup_old_session_records",
        "health_check_sessions",
        "rotate_credentials",
    ],
    "timeouts": ["check_process_timeouts"],
    "scheduler": ["health_check_monitoring_processes", "system_maintenance"],
}


def said(task: str, process: str) -> dict[str, Any]:
    """What a task answers about a process whose three comments wait for approval; a part of its result."""
    return {
        "start_monitoring_process": {"started": True},
        "stop_monitoring_process": {"stopped": True},
        "periodic_monitoring_check": {"comments_new": 0, "articles_seen": 3, "logins": 1},
        "prepare_article_content": {"skipped": "the row is generated"},
        "cleanup_old_articles": {"deleted": 0},
        "generate_comments_for_process": {"handed_to_sources": True, "waiting_for_generation": 0},
        "post_comments_for_process": {"handed_to_sources": True, "waiting_for_posting": 0},
        "initialize_process_sessions": {"restored": 1, "full_logins": 0, "refused": 0},
        "terminate_process_sessions": {"closed": 1},
        "cleanup_expired_sessions": {"closed": 0},
        "cleanup_old_session_records": {"deleted": 0},
        "health_check_sessions": {"valid": 0, "closed": 0},
        "rotate_credentials": {"encrypted_anew": 0, "unreadable": 0},
        "check_process_timeouts": {"ended": []},
        "health_check_monitoring_processes": {"status": "healthy", "processes": {"running": 1}},
        "system_maintenance": {
            "asked_for": ["cleanup_expired_sessions", "cleanup_old_session_records", "cleanup_old_articles"]
        },
    }[task]


def arguments(task: str, process: str, comment: str) -> dict[str, str]:
    """What it is enqueued with."""
    if task == "prepare_article_content":
        return {"comment_id": comment}
    alone = ("cleanup", "health_check", "rotate", "check_", "system_")
    return {} if task.startswith(alone) else {"process_id": process}


@pytest.mark.parametrize("default", [False, True], ids=["own", "celery"])
def test_every_task_runs_by_its_known_name_on_its_queue(stage: MonitoringStage, default: bool) -> None:
    stage.work(*(["celery"] if default else []), "monitoring", "comments", "sessions")
    process = stage.start(stage.wanted())
    stage.wait_count("generated", 3)
    wait_until(lambda: stage.sql("select count(*) from rowlock.active") == [(0,)], "the process is quiet", 20)
    stage.sql("update monitoring_processes set next_discovery_at = now() + interval '1 hour'")
    ((comment,),) = stage.sql("select id::text from ai_comments limit 1")
    if not default:
        stage.work("timeouts", "scheduler")
    # What ends the process or its sessions comes last.
    ending = ("terminate_process_sessions", "stop_monitoring_process")
    every = [(queue, task) for queue, tasks in QUEUES.items() for task in tasks]
    answers = {}
    for queue, task in [each for each in every if each[1] not in ending] + [
        each for name in ending for each in every if each[1] == name
    ]:
        run = stage.run_task("celery" if default else queue, task, **arguments(task, process, comment))
        answers[task] = stage.outcome(run)
    wrong = {
        task: answer
        for task, answer in answers.items()
        if answer[0] != "succeeded" or not (said(task, process).items() <= answer[1].items())
    }
    assert not wrong
    assert len(answers) == 16
    assert stage.sql("select status from monitoring_processes") == [("stopped",)]


def test_what_a_schedule_asks_for_really_happens(stage: MonitoringStage) -> None:
    stage.work("monitoring", "comments", "sessions", "scheduler", "timeouts")
    stage.start(stage.wanted(logins=("ada", "ben"), article_limit=1))
    stage.wait_count("generated", 2)
    stage.sql("update monitoring_processes set next_discovery_at = now() + interval '1 hour'")
    stage.sql("update mymoment_sessions set last_accessed = now() - interval '2 hours'")
    _, result, _ = stage.outcome(stage.run_task("scheduler", "health_check_monitoring_processes"))
    assert result["active_sessions"] == 2
    checked = "select result from rowlock.done where task = 'health_check_sessions'"
    wait_until(lambda: stage.sql(checked), "the sessions are looked at", 20)
    assert stage.sql(checked) == [({"valid": 2, "closed": 0, "unanswered": 0},)]
    stage.sql(
        "update mymoment_sessions set expires_at = now() where mymoment_login_id = (select"
        " min(id::text)::uuid from mymoment_logins)"
    )
    stage.sql(
        "update ai_comments set created_at = now() - interval '400 days' where id = (select"
        " min(id::text)::uuid from ai_comments)"
    )
    stage.sql("update monitoring_processes set started_at = now() - interval '61 minutes'")
    _, result, _ = stage.outcome(stage.run_task("timeouts", "check_process_timeouts"))
    assert len(result["ended"]) == 1
    assert stage.sql("select status, status_reason from monitoring_processes") == [
        ("completed", "DurationReached")
    ]
    stage.outcome(stage.run_task("scheduler", "system_maintenance"))
    wait_until(lambda: stage.count() == 1, "the old row is deleted", 20)
    wait_until(
        lambda: stage.sql("select count(*) from mymoment_sessions where is_active") == [(0,)],
        "the sessions are closed",
        20,
    )


def test_a_task_of_another_queue_is_refused_with_a_reason(stage: MonitoringStage) -> None:
    worker: RunningWorker = stage.worker("timeouts")
    worker.wait_ready()
    state, _, failure = stage.outcome(stage.run_task("timeouts", "rotate_credentials"))
    assert (state, failure["reason"]) == ("dead", "TaskNotAllowed")
