"""The functions that operator, command line and tasks share."""

import threading
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from tests.integration.monitoring.processes import apply, article, prepare, process, sql, started
from tests.services.postgres import connect

pytestmark = pytest.mark.integration


@pytest.fixture
def domain(database: str) -> str:
    return prepare(database)


def one(url: str, statement: str, *parameters: Any) -> Any:
    return sql(url, statement, *parameters)[0][0]


def test_a_start_is_a_run_of_the_task_and_the_task_makes_it_running(domain: str) -> None:
    identity = apply(domain, process())
    assert one(domain, "select monitoring.start_v1(%s)", identity) is None
    assert sql(domain, "select task, source_key from rowlock.active") == [
        ("start_monitoring_process", f"start:{identity}")
    ]
    assert one(domain, "select status from monitoring_processes") == "created"
    assert one(domain, "select monitoring.run_v1(%s)", identity) is True
    assert one(domain, "select status from monitoring_processes") == "running"


def test_a_start_that_was_stopped_before_the_task_came_does_not_run(domain: str) -> None:
    identity = apply(domain, process())
    sql(domain, "select monitoring.start_v1(%s)", identity)
    assert one(domain, "select monitoring.stop_v1(%s, 'stopped', 'Stopped')", identity) is True
    assert one(domain, "select monitoring.run_v1(%s)", identity) is False


def test_the_eleventh_of_an_owner_is_refused_and_another_owner_is_not(domain: str) -> None:
    for _ in range(10):
        started(domain, process())
    assert one(domain, "select monitoring.start_v1(%s)", apply(domain, process())) == "TooManyRunning"
    assert one(domain, "select monitoring.start_v1(%s)", apply(domain, process(owner="grace"))) is None


def test_starts_at_the_same_moment_do_not_exceed_the_owners_limit(domain: str) -> None:
    identities = [apply(domain, process()) for _ in range(8)]
    answers: list[str | None] = []
    threads = [
        threading.Thread(
            target=lambda i=i: answers.append(one(domain, "select monitoring.start_v1(%s, 3)", i))
        )
        for i in identities
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers, key=str) == [None] * 3 + ["TooManyRunning"] * 5


def test_a_stopped_process_passes_no_gate_and_its_rows_are_taken_by_no_source(domain: str) -> None:
    wanted = process()
    identity = started(domain, wanted)
    rows = article(domain, wanted)
    assert one(domain, "select runnable from ai_comments where id = %s", rows[0]) is True
    assert sql(
        domain, "select refused from monitoring.gate_v1(%s, 'site.example', null, 0, 0)", identity
    ) == [(None,)]
    sql(domain, "select monitoring.stop_v1(%s, 'stopped', 'Stopped')", identity)
    assert sql(
        domain, "select refused from monitoring.gate_v1(%s, 'site.example', null, 0, 0)", identity
    ) == [("NotRunning",)]
    assert sql(domain, "select refused from monitoring.still_v1(%s, 'site.example', null)", identity) == [
        ("NotRunning",)
    ]
    assert one(domain, "select runnable from ai_comments where id = %s", rows[0]) is False


def test_the_duration_is_the_gates_own_limit_even_while_nobody_enforces_it(domain: str) -> None:
    identity = started(domain, process(max_duration_minutes=1))
    sql(domain, "update monitoring_processes set started_at = started_at - interval '60 seconds'")
    assert sql(
        domain, "select refused from monitoring.gate_v1(%s, 'site.example', null, 0, 0)", identity
    ) == [("DurationReached",)]
    assert sql(domain, "select * from monitoring.expire_v1()") == [(identity,)]
    assert sql(domain, "select status, status_reason from monitoring_processes") == [
        ("completed", "DurationReached")
    ]
    assert sql(domain, "select * from monitoring.expire_v1()") == []


def test_requests_of_one_site_are_spread_and_another_site_does_not_wait(domain: str) -> None:
    identity = started(domain, process())
    gate = "select wait_seconds from monitoring.gate_v1(%s, %s, null, 0.5, 0)"
    waits = [one(domain, gate, identity, "site.example") for _ in range(4)]
    assert waits[0] == pytest.approx(0, abs=0.3)
    assert all(later - earlier > 0.2 for earlier, later in zip(waits, waits[1:], strict=False))
    assert one(domain, gate, identity, "other.example") == pytest.approx(0, abs=0.3)


def test_a_hold_is_for_everybody_also_for_who_waits_already(domain: str) -> None:
    identity = started(domain, process())
    sql(domain, "select monitoring.hold_v1('site.example', null, 30)")
    assert (
        one(domain, "select wait_seconds from monitoring.gate_v1(%s, 'site.example', null, 0, 0)", identity)
        > 25
    )
    assert (
        one(domain, "select wait_seconds from monitoring.still_v1(%s, 'site.example', null)", identity) > 25
    )


def test_one_row_of_an_article_fetches_for_all_of_them(domain: str) -> None:
    wanted = process(
        logins=[process()["logins"][0] for _ in range(3)], prompts=[process()["prompts"][0] for _ in range(2)]
    )
    started(domain, wanted)
    assert len(article(domain, wanted)) == 6
    assert sql(
        domain,
        "select count(*), count(*) filter (where prepares), count(*) filter (where runnable) from"
        " ai_comments",
    ) == [(6, 1, 6)]


def test_a_login_that_is_taken_out_gets_no_new_work_and_keeps_its_rows(domain: str) -> None:
    wanted = process(logins=[process()["logins"][0] for _ in range(2)])
    started(domain, wanted)
    article(domain, wanted)
    apply(domain, wanted | {"logins": wanted["logins"][1:]})
    assert sql(
        domain, "select mymoment_login_id::text, runnable, prepares from ai_comments order by runnable"
    ) == [
        (wanted["logins"][0]["id"], False, False),
        (wanted["logins"][1]["id"], True, True),
    ]


def test_another_password_is_another_chance(domain: str) -> None:
    wanted = process()
    apply(domain, wanted)
    sql(
        domain,
        "update mymoment_logins set state = 'needs_reauth', failed_logins = 5, last_error = 'wrong password'",
    )
    apply(domain, wanted)
    assert one(domain, "select state from mymoment_logins") == "needs_reauth"
    apply(domain, wanted | {"logins": [wanted["logins"][0] | {"credentials_hash": "2"}]})
    assert sql(domain, "select state, failed_logins, last_error from mymoment_logins") == [("ok", 0, None)]


def test_a_login_is_used_by_the_allowed_number_of_runs_and_a_dead_ones_use_ends(domain: str) -> None:
    wanted = process()
    apply(domain, wanted)
    login, first, second = wanted["logins"][0]["id"], str(uuid4()), str(uuid4())
    use = "select monitoring.use_login_v1(%s, %s, 1, 900)"
    assert [one(domain, use, login, run) for run in (first, second)] == [True, False]
    assert one(domain, use, login, first) is True, "the same run again is the same use"
    sql(domain, "update monitoring.login_use set until = now() - interval '1 second'")
    assert one(domain, use, login, second) is True


def test_the_use_of_a_run_that_was_lost_ends_with_it(domain: str) -> None:
    wanted = process()
    apply(domain, wanted)
    login, use = wanted["logins"][0]["id"], "select monitoring.use_login_v1(%s, %s, 1, 900)"
    lost = one(domain, "select rowlock.enqueue_v1('demo/monitoring', 'any')::text")
    assert one(domain, use, login, lost) is True
    sql(domain, "update rowlock.active set state = 'running'")
    assert one(domain, use, login, str(uuid4())) is False
    sql(domain, "update rowlock.active set state = 'pending'")
    assert one(domain, use, login, str(uuid4())) is True


def test_a_model_that_was_given_up_is_not_offered_again_until_the_process_is_applied(domain: str) -> None:
    wanted = process()
    identity = started(domain, wanted)
    (row,) = article(domain, wanted, status="prepared", article_content="text")
    sql(
        domain,
        "update monitoring_processes set generation_stopped = 'LlmKeyInvalid: the key', last_error = null",
    )
    sql(domain, "select monitoring.mark_runnable(%s)", identity)
    assert one(domain, "select runnable from ai_comments where id = %s", row) is False
    assert (
        one(domain, "select last_error from monitoring.status_v1(array[%s]::uuid[])", identity)
        == "LlmKeyInvalid: the key"
    )
    apply(domain, wanted)
    assert one(domain, "select runnable from ai_comments where id = %s", row) is True


def test_a_doubled_tick_is_one_run_also_after_it_has_ended(domain: str) -> None:
    tick = (
        "select monitoring.tick_v1('maintenance', '2026-11-23T00:00', 'demo/scheduler', 'system_maintenance')"
    )
    assert one(domain, tick) is not None
    assert one(domain, tick) is None
    sql(domain, "delete from rowlock.active")
    assert one(domain, tick) is None


def test_status_counts_what_a_user_would_count(domain: str) -> None:
    wanted = process()
    identity = started(domain, wanted)
    text = {"article_content": "text", "comment_content": "a comment"}
    article(domain, wanted, "1", status="generated", **text)
    article(domain, wanted, "2", status="generated", approval="approved", approved_by="ada", **text)
    article(domain, wanted, "3", status="failed", error_message="the site said no")
    rows = sql(
        domain,
        "select articles, counts, waiting, approved, last_error from monitoring.status_v1(%s::uuid[])",
        [identity],
    )
    assert rows == [(3, {"generated": 2, "failed": 1}, 1, 1, "the site said no")]


def test_a_person_approves_what_was_generated_and_nothing_else(domain: str) -> None:
    wanted = process()
    started(domain, wanted)
    (ready,) = article(
        domain, wanted, "1", status="generated", article_content="text", comment_content="a comment"
    )
    (early,) = article(domain, wanted, "2")
    assert sql(
        domain, "select * from monitoring.decide_v1(%s::uuid[], 'approved', 'ada')", [ready, early]
    ) == [(ready,)]


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"status": "posted", "article_content": "t", "comment_content": "c"}, "ai_comments_posted"),
        ({"status": "generated", "article_content": "t"}, "ai_comments_generated"),
        ({"status": "prepared"}, "ai_comments_prepared"),
        ({"status": "failed"}, "ai_comments_failed"),
        ({"approval": "approved"}, "ai_comments_approved"),
        ({"status": "dreamt"}, "ai_comments_status"),
    ],
)
def test_a_row_that_says_more_than_is_known_is_refused(
    domain: str, columns: dict[str, str], constraint: str
) -> None:
    wanted = process()
    apply(domain, wanted)
    with pytest.raises(psycopg2.errors.CheckViolation, match=constraint):
        article(domain, wanted, "1", **columns)


def test_an_article_is_commented_once_by_a_login_with_a_prompt(domain: str) -> None:
    wanted = process()
    apply(domain, wanted)
    article(domain, wanted)
    with pytest.raises(psycopg2.errors.UniqueViolation, match="ai_comments_once"):
        article(domain, wanted)


def test_tables_of_the_old_system_are_taken_over_with_their_rows(database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "create table monitoring_processes(id uuid primary key default gen_random_uuid(), user_id uuid,"
            " name varchar(200) not null)"
        )
        cur.execute(
            "alter table monitoring_processes add description text, add generate_only bool default true, add"
            " category_filter int"
        )
        cur.execute(
            "alter table monitoring_processes add search_filter varchar(200), add tab_filter varchar(50), add"
            " sort_option varchar(50)"
        )
        cur.execute(
            "alter table monitoring_processes add max_duration_minutes int default 60, add is_active bool"
            " default true"
        )
        cur.execute(
            "alter table monitoring_processes add status varchar(50) check (status in ('created', 'running',"
            " 'stopped', 'failed'))"
        )
        cur.execute(
            "alter table monitoring_processes add started_at timestamptz, add stopped_at timestamptz, add"
            " last_activity_at timestamptz"
        )
        cur.execute(
            "alter table monitoring_processes add created_at timestamptz default now(), add updated_at"
            " timestamptz default now()"
        )
        cur.execute("insert into monitoring_processes(name, status) values ('old one', 'stopped')")
    prepare(database)
    assert sql(database, "select name, status, discovery_state from monitoring_processes") == [
        ("old one", "stopped", "idle")
    ]
    started(database, process())
