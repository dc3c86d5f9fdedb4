"""`rowlock process status` and `run-now`, `rowlock sessions`: what the database knows of processes and
logins.
"""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.cli.monitored import comment, watched
from tests.integration.cli.stage import Invoke
from tests.integration.monitoring.processes import apply, prepare, process, sql

pytestmark = pytest.mark.integration


@pytest.fixture
def domain(database: str) -> str:
    return prepare(database)


def session(url: str, wanted: dict[str, Any], created: str = "2 hours") -> None:
    sql(
        url,
        "insert into mymoment_sessions(mymoment_login_id, session_data_encrypted, expires_at, created_at)"
        " values (%s, 'secret cookies', now() - %s::interval + interval '24 hours', now() - %s::interval)",
        wanted["logins"][0]["id"],
        created,
        created,
    )


def test_the_status_tells_phase_counters_what_comes_next_and_each_login(domain: str, invoke: Invoke) -> None:
    wanted = watched(domain)
    sql(
        domain,
        "update monitoring_processes set started_at = now() - interval '12 minutes 10 seconds',"
        " next_discovery_at = now() + interval '3 hours 30 seconds'",
    )
    for number, columns in enumerate(
        (
            {},
            {"approval": "approved", "approved_by": "bea"},
            {"approval": "rejected"},
            {"status": "failed", "error_message": "Refused: no"},
            {"status": "discovered"},
            {"status": "deleted"},
            {
                "status": "posted",
                "posted_at": "2026-01-01T00:00Z",
                "mymoment_comment_id": "7",
                "approval": "approved",
                "approved_by": "bea",
            },
        )
    ):
        comment(domain, wanted, str(number), **columns)
    session(domain, wanted)
    sql(domain, "update mymoment_logins set full_logins = 1")
    shown = invoke("process", "status", "watch")
    assert (shown.exit_code, shown.stdout) == (
        0,
        (
            "Process:    demo/watch\n"
            "Site:       http://site.example\n"
            "Mode:       comments wait for approval\n"
            "Phase:      running for 12m; ends in 47m\n"
            "Progress:   1 of 6 comments posted, 7 articles found\n"
            "Comments:   1 to be written, 1 wait for approval, 1 approved, 1 rejected, 1 posted, 1 failed\n"
            "Pace:       0.8 a minute; 0 in work now\n"
            "Discovery:  in 3h\n"
            "Last error: Refused: no\n"
            "\n"
            "LOGIN   SITE           STATE   SESSION   EXPIRES   LOGINS   IN USE   NEXT TRY   LAST ERROR\n"
            "ada     site.example   ok      2h        21h       1        0        -\n"
        ),
    )
    facts = json.loads(invoke("process", "status", "demo/watch", "-o", "json").stdout)
    assert (facts["phase"], facts["counts"]["posted"], facts["logins"][0]["state"], facts["id"]) == (
        "running",
        1,
        "ok",
        wanted["id"],
    )


def test_a_start_that_no_worker_has_taken_and_an_end_are_told(domain: str, invoke: Invoke) -> None:
    identity = apply(domain, process())
    sql(domain, "select monitoring.start_v1(%s)", identity)
    assert (
        "created; its start was asked for 0s ago and waits for a worker of the queue monitoring"
        in invoke("process", "status", "watch").stdout
    )
    sql(domain, "select monitoring.stop_v1(%s, 'failed', 'NeedsReauth', 'every login is refused')", identity)
    sql(domain, "update monitoring_processes set stopped_at = now() - interval '3 hours'")
    assert (
        "Phase:      failed (NeedsReauth: every login is refused), 3h ago\n"
        in invoke("process", "status", "watch").stdout
    )
    assert "Discovery:  none: it does not run\n" in invoke("process", "status", "watch").stdout


def test_a_process_that_is_not_there_is_told_with_those_that_are(domain: str, invoke: Invoke) -> None:
    watched(domain)
    for words in (
        ("process", "status", "wach"),
        ("process", "run-now", "wach"),
        ("comments", "list", "--process", "wach"),
        ("sessions", "--process", "wach"),
    ):
        done = invoke(*words)
        assert (done.exit_code, "there is no process wach; known: demo/watch." in done.stderr) == (
            1,
            True,
        ), done.output
        assert "`kubectl describe monitoringprocess wach`" in done.stderr
    done = invoke("process", "status", "watch", "-n", "other")
    assert (done.exit_code, "no process watch in the namespace other" in done.stderr) == (1, True)


def test_one_name_in_two_namespaces_must_be_said_in_full_and_a_deleted_one_gives_way_to_the_living(
    domain: str, invoke: Invoke
) -> None:
    old = watched(domain, owner="first")
    sql(domain, "select monitoring.forget_v1(%s)", old["id"])
    assert "(deleted; its records stay)" in invoke("process", "status", "watch").stdout
    new = watched(domain)
    assert json.loads(invoke("process", "status", "watch", "-o", "json").stdout)["id"] == new["id"]
    other = process(namespace="other", id=str(uuid4()))
    apply(domain, other)
    done = invoke("process", "status", "watch")
    assert (done.exit_code, "say which: demo/watch, other/watch" in done.stderr) == (1, True)
    assert (
        json.loads(invoke("process", "status", "watch", "-n", "other", "-o", "json").stdout)["id"]
        == other["id"]
    )
    assert (
        json.loads(invoke("process", "status", "other/watch", "-n", "demo", "-o", "json").stdout)["id"]
        == other["id"]
    )


def test_run_now_brings_the_next_look_forward_and_says_where_it_cannot(domain: str, invoke: Invoke) -> None:
    wanted = watched(domain)
    sql(
        domain,
        "update monitoring_processes set next_discovery_at = now() + interval '1 hour',"
        " discovery_empty_streak = 5",
    )
    assert invoke("process", "run-now", "watch").stdout == "demo/watch looks for articles now\n"
    assert sql(
        domain, "select next_discovery_at <= now(), discovery_empty_streak from monitoring_processes"
    ) == [(True, 0)]
    sql(domain, "select monitoring.stop_v1(%s, 'stopped', 'Stopped')", wanted["id"])
    done = invoke("process", "run-now", "watch")
    assert (
        done.exit_code,
        "demo/watch does not run (it is stopped); `rowlock process start demo/watch`" in done.stderr,
    ) == (1, True)


def test_sessions_show_how_each_login_is_and_no_secret(domain: str, invoke: Invoke) -> None:
    logins = [
        {
            "id": str(uuid4()),
            "name": name,
            "username_encrypted": "secret-name",
            "password_encrypted": "secret-word",
            "credentials_hash": "1",
        }
        for name in ("ada", "ben", "cleo")
    ]
    wanted = watched(domain, logins=logins)
    session(domain, wanted, "30 minutes")
    sql(
        domain,
        "insert into monitoring.login_use values (%s, %s, now() + interval '1 minute'), (%s, %s, now() -"
        " interval '1 minute')",
        logins[0]["id"],
        str(uuid4()),
        logins[0]["id"],
        str(uuid4()),
    )
    sql(
        domain,
        "update mymoment_logins set state = 'backing_off', next_login_at = now() + interval '2 hours 30"
        " seconds', full_logins = 2, last_error = 'the site refuses it' where name = 'ben'",
    )
    sql(domain, "update mymoment_logins set state = 'needs_reauth', full_logins = 3 where name = 'cleo'")
    assert (
        invoke("sessions").stdout
        == "LOGIN   SITE           STATE          SESSION   EXPIRES   LOGINS   IN USE   NEXT TRY             "
        "     LAST ERROR\nada     site.example   ok             30m       23h       0        1       "
        " -\nben     site.example   backing_off    -         -         2        0        in 2h            "
        "         the site refuses it\ncleo    site.example   needs_reauth   -         -         3       "
        " 0        once its Secret changes\n"
    )
    text = invoke("sessions", "-o", "json").stdout
    assert [one["processes"] for one in json.loads(text)] == [["demo/watch"]] * 3
    everything = text + invoke("sessions").stdout + invoke("process", "status", "watch", "-o", "json").stdout
    assert [word for word in ("secret-name", "secret-word", "secret cookies") if word in everything] == []
    watched(domain, "other", owner="ben", logins=[logins[1]])
    assert [line.split()[0] for line in invoke("sessions", "--process", "other").stdout.splitlines()] == [
        "LOGIN",
        "ben",
    ]


def test_a_session_that_is_over_is_none(domain: str, invoke: Invoke) -> None:
    wanted = watched(domain)
    session(domain, wanted, "25 hours")
    assert json.loads(invoke("sessions", "-o", "json").stdout)[0]["session_since"] is None


def test_before_the_first_process_there_is_nothing_to_show(domain: str, invoke: Invoke) -> None:
    assert invoke("sessions").stdout == "No login is known yet: each MonitoringProcess brings its own.\n"
    assert "known: none yet" in invoke("process", "status", "watch").stderr


def test_a_login_for_runs_alone_is_told_to_use_another_one(
    domain: str, invoke: Invoke, client_url: str
) -> None:
    watched(domain)
    for words in (("sessions",), ("comments", "list"), ("process", "status", "watch")):
        done = invoke(*words, url=client_url)
        assert (done.exit_code, "this login may not do that" in done.stderr) == (1, True), done.output
