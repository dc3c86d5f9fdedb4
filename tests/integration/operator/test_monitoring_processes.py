"""A MonitoringProcess at a real API server: from apply to the ledger, and what its status says. The tasks
have tests of their own.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rowlock_jobs.work.migrate import migrate
from tests.services.manifests import Manifest, monitoring_process
from tests.services.monitoring import install
from tests.services.operator_room import OperatorRoom, counted_for
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow(90)]
WORDS = ("ada@site.example", "correct horse battery staple")


@pytest.fixture
def served(new_room: Callable[[], OperatorRoom], tmp_path: Path) -> OperatorRoom:
    """An operator, the tables, the pipeline, one login."""
    room = new_room()
    migrate(room.url)
    room.secret("login-ada", username=WORDS[0], password=WORDS[1])
    room.operator(ready=False, **install(room, tmp_path))
    room.wait_condition("WorkQueue", "monitoring", status="True", deadline_seconds=40)
    return room


def status(room: OperatorRoom, name: str = "watch") -> Manifest:
    found: Manifest = room.get("MonitoringProcess", name).get("status", {})
    return found


def wait_phase(room: OperatorRoom, phase: str, name: str = "watch", deadline_seconds: float = 30) -> Manifest:
    wait_until(lambda: status(room, name).get("phase") == phase, f"{name} is {phase}", deadline_seconds)
    return status(room, name)


def task_runs(room: OperatorRoom, task: str) -> int:
    return int(room.sql("select count(*) from rowlock.run where task = %s", task)[0][0])


def started(room: OperatorRoom, name: str = "watch", **spec: object) -> str:
    """A process that runs; the worker's part is done by the function that its task calls. Returns its id."""
    made = room.create(monitoring_process(name, **spec))
    uid = str(made["metadata"]["uid"])
    wait_until(
        lambda: room.sql(
            "select 1 from monitoring_processes where id = %s and start_requested_at is not null", uid
        ),
        f"{name} was asked for",
        30,
    )
    assert room.sql("select monitoring.run_v1(%s)", uid) == [(True,)]
    wait_phase(room, "running", name)
    return uid


def test_an_applied_process_is_started_by_its_known_task_and_its_secrets_are_only_encrypted(
    served: OperatorRoom,
) -> None:
    uid = started(served)
    assert task_runs(served, "start_monitoring_process") == 1
    (document,) = served.sql("select to_jsonb(l) from mymoment_logins l")
    text = (
        json.dumps(document, default=str) + json.dumps(status(served)) + served.operators[0].log.read_text()
    )
    assert [word for word in WORDS if word in text] == []
    assert served.condition("MonitoringProcess", "watch")["reason"] == "Running"
    assert status(served)["progress"] == "0/0"
    assert served.sql("select id::text, owner, generate_only from monitoring_processes") == [
        (uid, "ada", True)
    ]


def test_counters_move_with_the_rows(served: OperatorRoom) -> None:
    uid = started(served)
    served.sql(
        "insert into ai_comments(mymoment_article_id, monitoring_process_id, mymoment_login_id,"
        " prompt_template_id, status, article_content, comment_content) select n::text, %s, l.id, p.id,"
        " 'generated', 'text', 'a comment' from generate_series(1, 5) n, mymoment_logins l,"
        " prompt_templates p",
        uid,
    )
    wait_until(lambda: status(served).get("progress") == "0/5", "the counters moved", 20)
    assert (status(served)["waiting"], status(served)["articles"], status(served)["generated"]) == (5, 5, 5)


def test_stop_and_start_again(served: OperatorRoom) -> None:
    uid = started(served)
    served.change("MonitoringProcess", "watch", state="Stopped")
    assert wait_phase(served, "stopped")["reason"] == "Stopped"
    assert served.sql("select refused from monitoring.gate_v1(%s, 's', null, 0, 0)", uid) == [("NotRunning",)]
    wait_until(lambda: status(served).get("lastState") == "Stopped", "the stop is remembered", 20)
    served.change("MonitoringProcess", "watch", state="Running")
    wait_until(
        lambda: served.sql("select 1 from monitoring_processes where start_requested_at is not null"),
        "it is asked for again",
        20,
    )


def test_a_process_that_is_over_is_completed_to_the_second_and_not_started_again_by_itself(
    served: OperatorRoom,
) -> None:
    uid = started(served, maxDurationMinutes=1)
    served.sql("update monitoring_processes set started_at = clock_timestamp() - interval '58 seconds'")
    wait_phase(served, "completed", deadline_seconds=20)
    late = served.sql("select extract(epoch from stopped_at - started_at) - 60 from monitoring_processes")[0][
        0
    ]
    assert 0 <= late < 5, f"ended {late:.1f} s late"
    served.kill(served.operators[0])
    served.operator(**{"rowlock_encryption_keys_file": str(served.folder / "encryption-keys")})
    served.leader()
    assert counted_for(3, lambda: task_runs(served, "start_monitoring_process")) == 0, (
        "a restart of the operator started it"
    )
    served.change("MonitoringProcess", "watch", startRequest="again")
    wait_until(
        lambda: served.sql(
            "select 1 from monitoring_processes where id = %s and start_requested_at is not null", uid
        ),
        "started again",
        20,
    )


def test_a_deleted_process_stops_within_seconds_and_leaves_its_records(served: OperatorRoom) -> None:
    started(served)
    served.delete("MonitoringProcess", "watch")
    wait_until(
        lambda: served.sql("select status, is_active from monitoring_processes") == [("stopped", False)],
        "it is stopped",
        10,
    )


def test_a_process_deleted_while_no_operator_lives_is_stopped_by_the_next_one(served: OperatorRoom) -> None:
    started(served)
    served.kill(served.operators[0])
    served.delete("MonitoringProcess", "watch")
    served.operator(**{"rowlock_encryption_keys_file": str(served.folder / "encryption-keys")})
    wait_until(
        lambda: served.sql("select status, is_active from monitoring_processes") == [("stopped", False)],
        "it is stopped",
        60,
    )


def test_the_eleventh_of_an_owner_waits_and_says_so(served: OperatorRoom) -> None:
    for number in range(11):
        served.create(monitoring_process(f"watch-{number:02}"))
    wait_until(
        lambda: (
            served.sql("select count(*) from monitoring_processes where start_requested_at is not null")
            == [(10,)]
        ),
        "ten are started",
        40,
    )

    def refused() -> list[str]:
        found = (served.condition("MonitoringProcess", f"watch-{number:02}") for number in range(11))
        return [condition["message"] for condition in found if condition.get("reason") == "TooManyRunning"]

    wait_until(lambda: len(refused()) == 1, "one is refused", 20)
    assert "stop one of them" in refused()[0]


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        (
            {"logins": [{"name": "ada", "secretRef": {"name": "nobody"}}]},
            "LoginSecretMissing",
            "spec.logins[0].secretRef.name",
        ),
        (
            {"logins": [{"name": "ada", "secretRef": {"name": "login-ada", "usernameKey": "user"}}]},
            "LoginSecretMissing",
            "has no key user",
        ),
        (
            {"llm": {"provider": "openai", "model": "m", "apiKeySecretRef": {"name": "nokey"}}},
            "LoginSecretMissing",
            "spec.llm.apiKeySecretRef",
        ),
    ],
)
def test_a_missing_secret_is_told_and_once_it_is_there_the_process_starts(
    served: OperatorRoom, change: Manifest, reason: str, word: str
) -> None:
    served.create(monitoring_process(**change))
    condition = served.wait_condition("MonitoringProcess", "watch", status="False", reason=reason)
    assert word in condition["message"]
    for name in ("nobody", "nokey"):
        served.secret(name, username="u", password="p", apiKey="k")
    served.secret("login-ada", username=WORDS[0], password=WORDS[1], user="ada")
    wait_until(lambda: task_runs(served, "start_monitoring_process") == 1, "it was started", 30)


def test_a_start_without_a_queue_that_can_serve_it_fails_clearly(served: OperatorRoom) -> None:
    served.change("WorkQueue", "comments", suspend=True)
    served.wait_condition("WorkQueue", "comments", status="False", reason="Suspended")
    served.create(monitoring_process())
    condition = served.wait_condition("MonitoringProcess", "watch", status="False", reason="NoWorker")
    assert "comments" in condition["message"]
    assert task_runs(served, "start_monitoring_process") == 0
    served.change("WorkQueue", "comments", suspend=False)
    wait_until(lambda: task_runs(served, "start_monitoring_process") == 1, "it was started", 30)


def test_a_database_without_the_tables_is_told_and_mended_without_a_restart(
    new_room: Callable[[], OperatorRoom], tmp_path: Path
) -> None:
    room = new_room()
    room.secret("login-ada", username="u", password="p")
    room.operator(ready=False, **install(room, tmp_path))
    room.create(monitoring_process())
    room.wait_condition(
        "MonitoringProcess", "watch", status="False", reason="DomainMissing", deadline_seconds=40
    )
    migrate(room.url)
    wait_until(lambda: task_runs(room, "start_monitoring_process") == 1, "it was started", 30)


def test_a_quiet_process_writes_no_status(served: OperatorRoom) -> None:
    started(served)

    def version() -> float:
        return float(served.get("MonitoringProcess", "watch")["metadata"]["resourceVersion"])

    served.wait_condition("MonitoringProcess", "watch", status="True", reason="Running")
    wait_until(lambda: counted_for(2, version) == 0, "the first writes are over", 30)
    assert counted_for(4, version) == 0
