"""info, health, monitor, why queue, filters: against a real ledger."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_ledger.install import LEDGER
from tests.integration.cli.stage import BAD_ROW, Invoke, Worker, enqueued
from tests.services.postgres import connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
NEWEST = LEDGER.build
PROGRAM = os.path.join(os.path.dirname(sys.executable), "rowlock")


def finding(invoke: Invoke, about: str, *words: str) -> dict[str, str]:
    told = json.loads(invoke("health", "-o", "json", *words).stdout)
    return next(each for each in told["findings"] if each["about"] == about)


@pytest.fixture
def operator_session(database: str) -> Any:
    """A session as the operator's pool opens it."""
    import psycopg2

    connection = psycopg2.connect(database, application_name="rowlock-operator")
    connection.autocommit = True
    with connection.cursor() as cur:
        cur.execute("select 1")
    yield connection
    connection.close()


def test_info_shows_versions_queues_sources_and_workers(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    enqueued(invoke)
    with connect(database) as cur:
        cur.execute(
            "insert into rowlock.source(name, queue_id, spec) select 'demo/orders', id, '{\"table\":"
            ' "public.orders", "task": "bill"}\' from rowlock.queue where name = \'demo/mail\''
        )
        cur.execute("update rowlock.queue set suspended = true where name = 'demo/mail'")
    worker.claim()
    enqueued(invoke)
    worker.claim()
    said = invoke("info").stdout
    assert f"The ledger has the version this command expects ({NEWEST})." in said
    assert "1 worker holds a lease now." in said
    assert ["demo/documents", "Workers", "no", "0", "0", "2", "0"] in [
        line.split()[:7] for line in said.splitlines()
    ]
    assert ["demo/mail", "Workers", "yes"] in [line.split()[:3] for line in said.splitlines()]
    assert ["demo/orders", "demo/mail", "public.orders", "bill", "0", "0", "0", "0"] in [
        line.split() for line in said.splitlines()
    ]
    told = json.loads(invoke("info", "-o", "json").stdout)
    assert (told["missing"], told["runners_alive"], [q["queue"] for q in told["queues"]]) == (
        [],
        1,
        ["demo/documents", "demo/mail", "other/mail"],
    )


def test_info_and_health_tell_a_ledger_that_is_older_or_newer_than_the_command(
    invoke: Invoke, database: str
) -> None:
    with connect(database) as cur:
        cur.execute("delete from rowlock.migration where version = %s", (NEWEST,))
        assert (
            f"The ledger is older than this command: it has none and lacks {NEWEST}" in invoke("info").stdout
        )
        assert finding(invoke, "ledger")["level"] == "problem"
        cur.execute("insert into rowlock.migration(version) values (%s), ('9999_future')", (NEWEST,))
    assert "The ledger is newer than this command: it has 9999_future" in invoke("info").stdout
    assert finding(invoke, "ledger")["level"] == "note"


def test_health_is_well_while_the_operator_speaks(invoke: Invoke, operator_session: Any) -> None:
    result = invoke("health")
    assert result.exit_code == 0, result.output
    assert (
        "ok:      The operator spoke to this database 0s ago; 0 workers renew their leases." in result.stdout
    )
    assert "note:    Redis is not checked here" in result.stdout


def test_health_sees_that_no_operator_speaks(invoke: Invoke) -> None:
    result = invoke("health")
    assert (
        result.exit_code,
        "problem: No operator has a session here: nothing is claimed or swept" in result.stdout,
    ) == (1, True)


def test_health_sees_a_lease_that_nobody_sweeps(
    invoke: Invoke, worker: Worker, operator_session: Any, database: str
) -> None:
    with connect(database) as cur:
        cur.execute(
            "update rowlock.runner set lease_until = now() - interval '40 s' where id = %s", (worker.runner,)
        )
    assert "A lease that lapsed 40s ago was not swept" in finding(invoke, "operator")["sentence"]
    with connect(database) as cur:
        cur.execute("select rowlock.sweep_v1()")
    assert finding(invoke, "operator")["level"] == "ok"


def test_health_sees_a_run_that_should_have_started_long_ago_but_not_one_that_may_not(
    invoke: Invoke, operator_session: Any, worker: Worker, database: str
) -> None:
    run_id = enqueued(invoke)
    with connect(database) as cur:
        cur.execute("select * from rowlock.round_v1('{}', '{}')")
        cur.execute("update rowlock.active set due = due - interval '2 hours'")
        assert finding(invoke, "waiting", "--max-wait", "3h")["level"] == "ok"
        late = finding(invoke, "waiting")
        assert (
            late["level"],
            late["sentence"].startswith(f"The run {run_id} of demo/documents could have started 2h ago"),
        ) == (
            "problem",
            True,
        )
        cur.execute("update rowlock.queue set suspended = true")
    assert finding(invoke, "waiting")["sentence"] == "No run waits that could start now."
    assert finding(invoke, "suspended")["sentence"].startswith("The queue demo/documents is suspended")


def test_health_sees_a_history_without_a_place_for_tomorrow(invoke: Invoke, database: str) -> None:
    with connect(database) as cur:
        for days in range(1, 9):
            cur.execute(
                f"drop table if exists rowlock.done_{datetime.now(UTC) + timedelta(days=days):%Y%m%d}"
            )
    assert finding(invoke, "history")["level"] == "problem"


def test_dead_letters_are_a_note_until_there_are_too_many(
    invoke: Invoke, worker: Worker, operator_session: Any
) -> None:
    enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    assert invoke("health").exit_code == 0
    assert "1 run waits for a person" in finding(invoke, "dead letters")["sentence"]
    assert invoke("health", "--max-dead", "1").exit_code == 0
    assert invoke("health", "--max-dead", "0").exit_code == 1


def test_a_database_that_does_not_answer_is_a_problem_in_json_too(invoke: Invoke) -> None:
    result = invoke("health", "-o", "json", url="postgresql://somebody:hidden@127.0.0.1:1/none")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["well"], told["findings"][0]["level"], "hidden" in result.output) == (
        1,
        False,
        "problem",
        False,
    )


def test_a_login_that_sees_only_the_view_gets_what_the_view_tells(invoke: Invoke, client_url: str) -> None:
    enqueued(invoke)
    assert "This login may read only the view rowlock.run" in invoke("info", url=client_url).stdout
    assert invoke("health", url=client_url).exit_code == 0
    (tick,) = [
        json.loads(line)
        for line in invoke("monitor", "--once", "-o", "json", url=client_url).stdout.splitlines()
    ]
    assert [(q["queue"], q["waiting"], q["blocked"]) for q in tick["queues"]] == [("demo/documents", 1, None)]
    refused = invoke("why", "queue", "demo/documents", url=client_url)
    assert (refused.exit_code, "may read only the view" in refused.stderr) == (1, True)


def test_one_look_of_the_monitor_counts_each_state_and_the_pace(invoke: Invoke, worker: Worker) -> None:
    for _ in range(5):
        enqueued(invoke)
    worker.run("succeeded")
    enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    enqueued(invoke)
    worker.start(worker.claim())
    enqueued(invoke)
    worker.claim()
    enqueued(invoke)
    worker._call("select * from rowlock.round_v1('{}', '{}')")
    (line,) = invoke("monitor", "--once", "-o", "json", "--queue", "documents").stdout.splitlines()
    (figures,) = json.loads(line)["queues"]
    counts = {
        name: figures[name]
        for name in ("waiting", "claimed", "running", "dead", "succeeded_per_second", "failed_per_second")
    }
    assert counts == {
        "waiting": 1,
        "claimed": 1,
        "running": 1,
        "dead": 1,
        "succeeded_per_second": 0.5,
        "failed_per_second": 0.1,
    }
    table = invoke("monitor", "--once").stdout
    assert "1 waiting, 1 claimed, 1 running; 0.5 done a second; 1 worker alive" in table
    assert len(table.splitlines()) == 6


def test_counts_are_right_while_no_operator_reads_the_events(invoke: Invoke) -> None:
    enqueued(invoke)
    (figures,) = json.loads(invoke("monitor", "--once", "-o", "json", "--queue", "documents").stdout)[
        "queues"
    ]
    assert (figures["waiting"], figures["oldest_seconds"] is not None) == (1, True)
    said = invoke("why", "queue", "documents").stdout
    assert "has 1 waiting, 0 claimed and 0 running." in said
    assert "1 change of it is not read by the claimer yet." in said


def test_elsewhere_than_on_a_terminal_each_look_is_a_line_a_queue(invoke: Invoke) -> None:
    lines = invoke("monitor", "--ticks", "2", "--interval", "0.2").stdout.splitlines()
    assert len(lines) == 6
    assert (
        " demo/documents waiting 0 blocked 0 claimed 0 running 0 oldest - done/s 0.0 failed/s 0.0 dead 0"
        in lines[0]
    )


def of_a_terminal(database: str) -> dict[str, str]:
    """The environment of a shell: nothing of Rowlock's but the address, and no width that a test runner has
    set.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("ROWLOCK_") and key not in ("COLUMNS", "LINES")
    }
    return {**kept, "ROWLOCK_DATABASE_URL": database, "TERM": "xterm"}


def hear_ctrl_c() -> None:
    """A process in the background of a shell ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_the_monitor_with_exit_code_0(invoke: Invoke, database: str) -> None:
    environment = of_a_terminal(database)
    with subprocess.Popen(
        [PROGRAM, "monitor", "-o", "json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["queues"]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_on_a_terminal_the_view_is_redrawn_in_place(invoke: Invoke, database: str) -> None:
    environment = of_a_terminal(database)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, "monitor", "--interval", "0.2"],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=hear_ctrl_c,
    )
    os.close(theirs)
    try:
        shown = b""
        while shown.count(b"\x1b[H") < 3:
            shown += os.read(ours, 65_536)
        frame = shown.split(b"\x1b[H")[-2].decode()
        assert frame.endswith("\x1b[J")
        lines = [line.removesuffix("\x1b[K") for line in frame.removesuffix("\x1b[J").splitlines()]
        assert lines[2].startswith("QUEUE")
        assert max(map(len, lines)) <= 60
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        os.close(ours)


def test_the_monitor_outlives_a_session_that_the_server_ends(invoke: Invoke, database: str) -> None:
    environment = of_a_terminal(database)
    command = [PROGRAM, "monitor", "-o", "json", "--interval", "0.2"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as process:
        try:
            assert process.stdout is not None
            assert "queues" in json.loads(process.stdout.readline())
            with connect(database) as cur:
                cur.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name ="
                    " 'rowlock-cli' and datname = current_database()"
                )
            seen: list[str] = []

            def recovered() -> bool:
                seen.append(next(iter(json.loads(process.stdout.readline()).keys() & {"queues", "error"})))
                return seen[-1] == "queues" and "error" in seen

            wait_until(recovered, "a look that fails, then one that does not")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_why_queue_names_suspension_limits_retries_and_missing_workers(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    assert "It is empty: nothing waits and nothing runs." in invoke("why", "queue", "documents").stdout
    with connect(database) as cur:
        cur.execute("select rowlock.set_limit_v1('per-customer', 1, null, null)")
        for _ in range(3):
            cur.execute(
                "select rowlock.enqueue_v1('demo/documents', 't', p_limits => array['per-customer:7'])"
            )
    worker.claim()
    worker.claim()
    said = invoke("why", "queue", "documents").stdout
    assert "The queue demo/documents (mode Workers) has 2 waiting, 1 claimed and 0 running." in said
    assert "The limit per-customer:7 holds back 2 runs: 1 of at most 1 are running." in said
    assert "no worker of this queue's Deployment holds a lease" in said
    assert "No operator speaks to this database" in said
    assert "The oldest due run waits for" in said
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = true")
    assert (
        "It is suspended: nothing of it starts until `kubectl -n demo patch workqueue documents"
        in invoke("why", "queue", "documents").stdout
    )


def test_why_queue_tells_when_retries_are_due_and_that_it_moves(invoke: Invoke, worker: Worker) -> None:
    enqueued(invoke)
    worker.run(
        "failed", failure={"class": "site", "reason": "Busy", "message": "later", "after_seconds": 600}
    )
    told = json.loads(invoke("why", "queue", "demo/documents", "-o", "json").stdout)
    assert (told["not_due"], told["retrying"], told["oldest_due"]) == (1, 1, None)
    assert any(
        "All of the waiting ones wait for their retry: the first is due at 2" in sentence
        for sentence in told["why"]
    )
    enqueued(invoke)
    worker.run("succeeded")
    assert "It moves: 1 run ended in the last minute." in invoke("why", "queue", "documents").stdout


def test_runs_are_filtered_by_task_key_age_and_several_states(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    def listed(*words: str) -> list[str]:
        return [run["id"] for run in json.loads(invoke("runs", "-o", "json", *words).stdout)]

    first = enqueued(invoke, "--key", "a")
    worker.run("succeeded")
    second = enqueued(invoke, "--key", "b")
    third = invoke("enqueue", "demo/mail", "send_mail").stdout.strip()
    assert listed("--task", "send_mail") == [third]
    assert listed("--key", "b") == [second]
    assert listed("--state", "succeeded,pending") == [third, second, first]
    assert listed("--since", "1h") == [third, second, first]
    with connect(database) as cur:
        cur.execute("select created_at from rowlock.run where id = %s", (second,))
        moment = cur.fetchone()[0].isoformat()
    assert listed("--since", moment) == [third, second]
    assert listed("--since", "2100-01-01T00:00:00Z") == []


def test_the_namespace_decides_between_queues_of_one_name_before_and_after_the_command(
    invoke: Invoke,
) -> None:
    for words in (
        ("-n", "other", "enqueue", "mail", "t"),
        ("enqueue", "mail", "t", "-n", "other"),
        ("-n", "demo", "enqueue", "mail", "t", "-n", "other"),
    ):
        assert json.loads(invoke(*words, "-o", "json").stdout)["queue"] == "other/mail"
    assert invoke("--context", "any", "version").exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_asks_the_command_which_completes_states(shell: str, invoke: Invoke) -> None:
    script = invoke("completion", shell).stdout
    assert "_ROWLOCK_COMPLETE" in script
    if shell == "bash":
        typed = "COMP_WORDS=(rowlock runs --state dead,un); COMP_CWORD=3"
        asked = f'{script}\n{typed}; _rowlock_completion "{PROGRAM}"; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == "dead,unknown\n", done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("why", "queue"),
        ("why", "a", "b"),
        ("why", "queue", "a", "b"),
        ("runs", "--state", "dead,asleep"),
        ("runs", "--since", "soon"),
        ("runs", "--since", "2026-03-01"),
        ("monitor", "--once", "--ticks", "2"),
        ("monitor", "--interval", "0"),
        ("completion", "cmd"),
        ("health", "--max-wait", "9"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], invoke: Invoke) -> None:
    assert invoke(*words).exit_code == 2


def test_every_command_documents_its_exit_codes(invoke: Invoke) -> None:
    for command in (
        "info",
        "health",
        "monitor",
        "runs",
        "why",
        "dead-letters",
        "enqueue",
        "requeue",
        "cancel",
        "delete-runs",
        "completion",
        "version",
    ):
        assert "Exit codes: 0" in invoke(command, "--help").stdout, command
    assert json.loads(invoke("version", "-o", "json").stdout).keys() == {"version"}


def test_single_runs_are_reported_as_json(invoke: Invoke, worker: Worker) -> None:
    run_id = enqueued(invoke)
    assert json.loads(invoke("cancel", run_id, "-o", "json").stdout) == {"canceled": [run_id], "left": []}
    assert json.loads(invoke("requeue", run_id, "-o", "json").stdout) == {"requeued": [run_id], "left": []}
    again = invoke("requeue", run_id, "-o", "json")
    assert (again.exit_code, len(json.loads(again.stdout)["left"])) == (1, 1)
