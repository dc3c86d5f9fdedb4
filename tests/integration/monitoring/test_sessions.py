"""One login, one session: over workers, restarts, processes and keys."""

import json

import pytest
from cryptography.fernet import Fernet

from tests.integration.monitoring.counting import check_agreed, check_posted
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ACTIVE = "select count(*) from mymoment_sessions where is_active"


def login_posts(stage: MonitoringStage) -> int:
    return sum(
        request["method"] == "POST" and request["path"] == "/accounts/login/"
        for request in stage.site.requests
    )


def test_a_login_logs_in_once_whatever_workers_use_it_and_restart(stage: MonitoringStage) -> None:
    stage.work("monitoring", "monitoring", "comments", "sessions")
    stage.start(stage.wanted(logins=("ada", "ben"), article_limit=20))
    stage.wait_count("generated", 3 + 6)
    for worker in stage.workers:
        worker.kill()
    stage.work("monitoring", "comments")
    stage.site.add_articles({"count": 2, "classes": [12]})
    stage.approve()
    stage.sql("update monitoring_processes set next_discovery_at = now()")
    stage.wait_count("posted", 9)
    stage.wait_count("generated", 4)
    assert login_posts(stage) == 2
    assert stage.sql("select name, full_logins from mymoment_logins order by name") == [
        ("ada", 1),
        ("ben", 1),
    ]
    check_posted(stage)
    check_agreed(stage)


def test_sessions_are_looked_at_closed_and_forgotten_by_their_tasks(stage: MonitoringStage) -> None:
    stage.work()
    stage.start(stage.wanted(logins=("ada", "ben"), article_limit=1))
    stage.wait_count("generated", 2)
    stage.sql("update monitoring_processes set next_discovery_at = now() + interval '1 hour'")
    stage.sql("update mymoment_sessions set last_accessed = now() - interval '2 hours'")
    stage.site.fault(expire_sessions=["ben"])
    _, result, _ = stage.outcome(stage.run_task("sessions", "health_check_sessions"))
    assert result == {"valid": 1, "closed": 1, "unanswered": 0}
    assert stage.sql(ACTIVE) == [(1,)]
    stage.sql("update mymoment_sessions set expires_at = now() - interval '1 second' where is_active")
    _, result, _ = stage.outcome(stage.run_task("sessions", "cleanup_expired_sessions"))
    assert result == {"closed": 1}
    stage.sql("update mymoment_sessions set updated_at = now() - interval '31 days'")
    _, result, _ = stage.outcome(stage.run_task("sessions", "cleanup_old_session_records"))
    assert result == {"deleted": 2}


def test_a_session_outlives_a_process_while_another_one_uses_its_login(stage: MonitoringStage) -> None:
    stage.work()
    first = stage.start(stage.wanted(logins=("ada",), article_limit=1))
    second = stage.start(stage.wanted(logins=("ada",), name="second", article_limit=1))
    stage.wait_count("generated", 2)
    ended = (
        "select count(*) from rowlock.done where task = 'terminate_process_sessions' and state = 'succeeded'"
    )
    stage.sql("select monitoring.stop_v1(%s, 'stopped', 'Stopped')", first)
    wait_until(lambda: stage.sql(ended) == [(1,)], "the first one is stopped", 20)
    assert stage.sql(ACTIVE) == [(1,)]
    stage.sql("select monitoring.stop_v1(%s, 'stopped', 'Stopped')", second)
    wait_until(lambda: stage.sql(ended) == [(2,)], "the second one is stopped", 20)
    assert stage.sql(ACTIVE) == [(0,)]
    assert login_posts(stage) == 1


def test_a_new_key_takes_over_everything_while_the_workers_go_on(stage: MonitoringStage) -> None:
    stage.work()
    stage.start(stage.wanted(logins=("ada", "ben"), article_limit=1))
    stage.wait_count("generated", 2)
    old, new = stage.keys.read_text().strip(), Fernet.generate_key().decode()
    stage.keys.write_text(f"{new}\n{old}\n")
    _, result, _ = stage.outcome(stage.run_task("sessions", "rotate_credentials"))
    assert (result["encrypted_anew"], result["unreadable"]) == (
        7,
        0,
    ), "two names, two passwords, two sessions, one key of the model"
    tokens = stage.sql(
        "select username_encrypted from mymoment_logins union all select password_encrypted from"
        " mymoment_logins"
    )
    tokens += stage.sql(
        "select session_data_encrypted from mymoment_sessions union all select api_key_encrypted from"
        " llm_provider_configurations"
    )
    clear = [Fernet(new).decrypt(token.encode()).decode() for (token,) in tokens]
    assert {"ada", "pw-ada", "pw-ben", "key-of-the-model"} <= set(clear)
    stage.keys.write_text(f"{new}\n")
    _, result, _ = stage.outcome(stage.run_task("sessions", "rotate_credentials"))
    assert (result["encrypted_anew"], result["unreadable"]) == (0, 0)
    stage.approve()
    stage.site.fault(expire_sessions=["ben"])  # one is restored, one logs in: both by what the new key opens
    stage.wait_count("posted", 2)
    check_agreed(stage)


def test_what_no_key_opens_is_told_and_left_alone(stage: MonitoringStage) -> None:
    stage.work("sessions")
    stage.start(stage.wanted())
    before = stage.sql("select username_encrypted, password_encrypted from mymoment_logins")
    stage.keys.write_text(Fernet.generate_key().decode() + "\n")
    state, result, _ = stage.outcome(stage.run_task("sessions", "rotate_credentials"))
    assert (state, result["unreadable"]) == ("succeeded", 3), json.dumps(result)
    assert stage.sql("select username_encrypted, password_encrypted from mymoment_logins") == before
