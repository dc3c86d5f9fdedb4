"""Every command on runs against a real ledger."""

import json
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from click.testing import Result

from tests.integration.cli.stage import BAD_ROW, Invoke, Worker, enqueued
from tests.services.postgres import connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def test_runs_are_listed_newest_first_and_filtered(invoke: Invoke, worker: Worker) -> None:
    first = enqueued(invoke)
    worker.run("succeeded")
    second, third = enqueued(invoke), enqueued(invoke, queue="demo/mail")
    lines = invoke("runs").stdout.splitlines()
    assert lines[0].split()[:4] == ["RUN", "QUEUE", "TASK", "STATE"]
    assert [line.split()[0] for line in lines[1:]] == [third[:18], second[:18], first[:18]]

    def listed(*words: str) -> list[str]:
        return [run["id"] for run in json.loads(invoke("runs", "-o", "json", *words).stdout)]

    assert listed("--queue", "documents") == [
        second,
        first,
    ], "the namespace may be left out where the name is unique"
    assert listed("--state", "succeeded") == [first]
    assert listed("--state", "succeeded", "--state", "pending", "--limit", "2") == [third, second]
    assert listed("--source", "demo/orders") == []
    assert invoke("runs", "--state", "dead").stdout == "No runs match.\n"


def test_json_has_the_columns_of_the_view_with_times_in_iso_8601(invoke: Invoke) -> None:
    run_id = enqueued(invoke, "--key", "k")
    (run,) = json.loads(invoke("runs", "-o", "json").stdout)
    assert (run["id"], run["queue"], run["state"], run["attempt"], run["source_key"], run["failure"]) == (
        run_id,
        "demo/documents",
        "pending",
        1,
        "k",
        None,
    )
    assert run["created_at"].endswith("+00:00")


def test_a_wrong_queue_name_lists_the_known_ones(invoke: Invoke) -> None:
    for words in (
        ("runs", "--queue", "demo/letters"),
        ("enqueue", "demo/letters", "t"),
        ("requeue", "--queue", "demo/letters", "--all-dead"),
    ):
        result = invoke(*words)
        assert result.exit_code == 1
        assert "there is no queue demo/letters; known: demo/documents, demo/mail, other/mail" in result.stderr


def test_a_name_in_two_namespaces_must_be_said_in_full(invoke: Invoke) -> None:
    result = invoke("enqueue", "mail", "t")
    assert (result.exit_code, "demo/mail, other/mail" in result.stderr) == (1, True)


def test_enqueued_arguments_arrive_as_the_types_they_were_written_as(invoke: Invoke, database: str) -> None:
    enqueued(
        invoke,
        "--args",
        '{"a": {"b": [1]}, "n": 1}',
        "--arg",
        "n=2",
        "--arg",
        "text=a=b c",
        "--arg",
        'quoted="7"',
        "--priority",
        "5",
    )
    with connect(database) as cur:
        cur.execute("select args, priority from rowlock.run")
        assert cur.fetchone() == ({"a": {"b": [1]}, "n": 2, "text": "a=b c", "quoted": "7"}, 5)


def test_a_second_run_with_the_same_key_is_the_first_one(invoke: Invoke) -> None:
    first = enqueued(invoke, "--key", "k")
    again = invoke("enqueue", "demo/documents", "process_document", "--key", "k")
    assert (again.exit_code, again.stdout.strip()) == (0, first)
    assert "has the key k already" in again.stderr
    assert len(json.loads(invoke("runs", "-o", "json").stdout)) == 1


@pytest.mark.parametrize(
    ("outcome", "failure", "exit_code", "said"),
    [
        ("succeeded", None, 0, 'succeeded: {"pages": 3}'),
        ("failed", BAD_ROW, 1, "is dead: NotPdf: the file 'a.pdf' is not a PDF"),
    ],
)
def test_waiting_ends_with_the_run_and_its_exit_code(
    outcome: str, failure: object, exit_code: int, said: str, invoke: Invoke, worker: Worker
) -> None:
    results: list[Result] = []
    waiter = threading.Thread(
        target=lambda: results.append(invoke("enqueue", "demo/documents", "t", "--wait", "--timeout", "20"))
    )
    waiter.start()
    claimed = wait_until(worker.claim, "the run is enqueued")
    assert isinstance(claimed, list)
    worker.start(claimed)
    worker.finish(claimed[0][0], outcome, result={"pages": 3}, failure=failure)
    waiter.join(20)
    assert (results[0].exit_code, results[0].stdout.strip()) == (exit_code, f"{claimed[0][0]} {said}")


def test_waiting_gives_up_after_its_time_and_says_where_to_look(invoke: Invoke) -> None:
    result = invoke("enqueue", "demo/documents", "t", "--wait", "--timeout", "0.3")
    assert (result.exit_code, "is still pending after 0.3 s; `rowlock why" in result.stderr) == (1, True)


def test_dead_letters_show_what_failed_and_requeue_gives_the_run_another_life(
    invoke: Invoke, worker: Worker
) -> None:
    run_id = enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    listed = invoke("dead-letters").stdout
    assert "NotPdf" in listed
    assert run_id[:18] in listed
    requeued = invoke("requeue", run_id[:18])
    assert (requeued.exit_code, requeued.stdout) == (0, f"{run_id} is pending again (attempt 2)\n")
    assert invoke("dead-letters").stdout == "Nothing is dead or unknown.\n"
    again = invoke("requeue", run_id)
    assert (
        again.exit_code,
        "is pending; only dead, unknown and canceled runs are requeued" in again.stderr,
    ) == (1, True)


def test_all_dead_runs_of_one_queue_are_requeued_and_those_with_a_taken_key_are_counted(
    invoke: Invoke, worker: Worker
) -> None:
    enqueued(invoke, "--key", "taken")
    for _ in range(3):
        enqueued(invoke)
    other = enqueued(invoke, queue="demo/mail")
    worker.run("failed", failure=BAD_ROW)
    enqueued(invoke, "--key", "taken")
    result = invoke("requeue", "--queue", "documents", "--all-dead")
    assert (result.exit_code, result.stdout) == (1, "3 of 4 dead runs of demo/documents are pending again\n")
    assert "1 were left: another active run has their key" in result.stderr
    assert [
        run["id"] for run in json.loads(invoke("dead-letters", "--queue", "demo/mail", "-o", "json").stdout)
    ] == [other]


def test_a_waiting_run_is_canceled_at_once_and_a_running_one_is_told(invoke: Invoke, worker: Worker) -> None:
    running = enqueued(invoke)
    worker.start(worker.claim())
    waiting = enqueued(invoke)
    result = invoke("cancel", waiting, running, "--reason", "WrongFile")
    assert (result.exit_code, result.stdout) == (0, f"{waiting} is canceled\n{running} is told to end\n")
    assert "It was canceled 0s ago: WrongFile." in invoke("why", waiting).stdout
    assert "It was asked to end" in invoke("why", running).stdout
    again = invoke("cancel", running, waiting)
    assert again.exit_code == 1
    assert "was told to end already" in again.stderr
    assert "is canceled: nothing to cancel" in again.stderr


@pytest.mark.parametrize("beginning", ["ffffffff", "nonsense", "", "-1"])
def test_an_id_that_is_none_is_not_found(beginning: str, invoke: Invoke) -> None:
    result = invoke("why", "--", beginning)
    assert (result.exit_code, result.stdout) == (1, "")
    assert beginning in result.stderr


def test_a_beginning_of_several_ids_lists_them(invoke: Invoke) -> None:
    ids = [enqueued(invoke) for _ in range(2)]
    result = invoke("why", ids[0][:4])
    assert result.exit_code == 1
    assert all(run_id in result.stderr for run_id in ids)


def test_why_tells_the_place_in_line_and_what_goes_first(invoke: Invoke) -> None:
    ids = [enqueued(invoke) for _ in range(3)]
    said = invoke("why", ids[2]).stdout
    assert f"Run {ids[2]}: task process_document in demo/documents, attempt 1, is pending." in said
    assert "2 runs are ahead of it in its line." in said
    assert "It is the next in its line." in invoke("why", ids[0]).stdout


def test_why_names_the_limit_that_holds_a_run_back(invoke: Invoke, worker: Worker, database: str) -> None:
    with connect(database) as cur:
        cur.execute("select rowlock.set_limit_v1('per-customer', 1, null, null)")
        ids = []
        for _ in range(3):
            cur.execute(
                "select rowlock.enqueue_v1('demo/documents', 't', p_limits => array['per-customer:7'])::text"
            )
            ids.append(cur.fetchone()[0])
    assert [run_id for run_id, _ in worker.claim()] == [ids[0]]
    worker.claim()
    said = invoke("why", ids[2]).stdout
    assert "It is held back by the limit per-customer:7: 1 of at most 1 are running." in said
    assert "1 run is ahead of it" in said


def test_why_tells_a_retry_its_time_and_the_last_failure(invoke: Invoke, worker: Worker) -> None:
    run_id = enqueued(invoke)
    worker.run(
        "failed",
        failure={
            "class": "site",
            "reason": "TooManyRequests",
            "message": "the site asks to wait",
            "after_seconds": 600,
        },
    )
    said = invoke("why", run_id).stdout
    assert "attempt 2, is pending." in said
    assert "It waits for its retry until 2" in said
    assert "Its last attempt failed: TooManyRequests: the site asks to wait. Failures so far: site 1." in said


def test_why_tells_who_runs_it_and_how_long_the_lease_holds(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    run_id = enqueued(invoke)
    claimed = worker.claim()
    assert "waits in Redis for a free worker" in invoke("why", run_id).stdout
    worker.start(claimed)
    with connect(database) as cur:
        cur.execute(
            'select * from rowlock.renew_v1(%s, 60, %s::uuid[], array[\'{"done": 3, "total":'
            " 10}']::jsonb[])",
            (worker.runner, [run_id]),
        )
        said = invoke("why", run_id).stdout
        assert "and reports 3/10." in said
        assert "The worker pod-7/1 runs it; its lease holds for " in said
        cur.execute(
            "update rowlock.runner set lease_until = now() - interval '5 s' where id = %s", (worker.runner,)
        )
    assert "has not renewed its lease for 5s" in invoke("why", run_id).stdout


def test_why_tells_that_the_queue_is_suspended_and_how_to_resume_it(invoke: Invoke, database: str) -> None:
    run_id = enqueued(invoke)
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = true")
    assert (
        "The queue is suspended: nothing of it starts until `kubectl -n demo patch workqueue documents"
        in invoke("why", run_id).stdout
    )


def test_why_explains_the_dead_and_the_unknown(invoke: Invoke, worker: Worker) -> None:
    dead = enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    said = invoke("why", dead).stdout
    assert "It failed for good 0s ago: NotPdf: the file 'a.pdf' is not a PDF." in said
    assert f"`rowlock requeue {dead}`" in said
    unknown = enqueued(invoke)
    worker.run("unknown", failure={"class": "infra", "reason": "RunnerLost", "message": "gone"})
    assert (
        "Whether it happened is not known, so it is not repeated by itself" in invoke("why", unknown).stdout
    )
    assert [run["state"] for run in json.loads(invoke("dead-letters", "-o", "json").stdout)] == [
        "unknown",
        "dead",
    ]


def test_why_as_json_carries_facts_and_sentences(invoke: Invoke) -> None:
    run_id = enqueued(invoke)
    told = json.loads(invoke("why", run_id, "-o", "json").stdout)
    assert (told["run"]["id"], told["waiting"]["ahead_in_line"], len(told["why"]) >= 2) == (run_id, 0, True)


def test_a_login_that_sees_only_the_view_can_enqueue_ask_and_cancel(invoke: Invoke, client_url: str) -> None:
    enqueued(invoke)
    result = invoke("enqueue", "documents", "t", url=client_url)
    assert result.exit_code == 0, result.output
    run_id = result.stdout.strip()
    assert "may read only the view" in invoke("why", run_id, url=client_url).stdout
    assert invoke("runs", "--queue", "demo/documents", url=client_url).exit_code == 0
    assert invoke("cancel", run_id, url=client_url).exit_code == 0
    assert invoke("requeue", run_id, url=client_url).exit_code == 0


def test_a_first_run_can_be_enqueued_by_a_login_that_sees_only_the_view(
    invoke: Invoke, client_url: str
) -> None:
    result = invoke("enqueue", "demo/documents", "t", url=client_url)
    assert result.exit_code == 0, result.output
    wrong = invoke("enqueue", "demo/letters", "t", url=client_url)
    assert (wrong.exit_code, "known" in wrong.stderr.lower(), "demo/mail" in wrong.stderr) == (1, True, True)


def test_a_database_without_a_ledger_or_without_an_answer_is_said_in_a_sentence(
    postgres: Any, invoke: Invoke
) -> None:
    empty = invoke("runs", url=postgres.new_database(ledger=False))
    assert (empty.exit_code, "holds no ledger of this version" in empty.stderr) == (1, True)
    silent = invoke("runs", url="postgresql://somebody:hidden@127.0.0.1:1/none")
    assert (silent.exit_code, "does not answer" in silent.stderr, "hidden" in silent.output) == (
        1,
        True,
        False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("requeue",),
        ("requeue", "--all-dead"),
        ("requeue", "--queue", "q"),
        ("requeue", "x", "--queue", "q", "--all-dead"),
        ("cancel",),
        ("why",),
        ("enqueue", "q"),
        ("enqueue", "q", "t", "--args", "[1]"),
        ("enqueue", "q", "t", "--args", "{"),
        ("enqueue", "q", "t", "--arg", "x"),
        ("enqueue", "q", "t", "--priority", "101"),
        ("runs", "--state", "asleep"),
        ("runs", "--limit", "0"),
        ("walk",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], invoke: Invoke) -> None:
    assert invoke(*words).exit_code == 2


def test_the_installed_commands_answer_and_take_the_address_from_a_file(
    invoke: Invoke, database: str, tmp_path: Any
) -> None:
    enqueued(invoke)
    (tmp_path / "url").write_text(database + "\n")
    environment = {
        **os.environ,
        "ROWLOCK_DATABASE_URL_FILE": str(tmp_path / "url"),
        "ROWLOCK_DATABASE_URL": "postgresql://127.0.0.1:1/wrong",
    }
    for program in ("rowlock", "kubectl-rowlock"):
        path = os.path.join(os.path.dirname(sys.executable), program)
        done = subprocess.run(
            [path, "runs"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr, "process_document" in done.stdout) == (0, "", True)
