"""delete-runs and cancel --all-waiting: what goes, what stays, and that nothing goes unasked."""

import json

import pytest

from tests.integration.cli.stage import BAD_ROW, Invoke, Worker, enqueued
from tests.services.postgres import connect

pytestmark = pytest.mark.integration


def states(invoke: Invoke, *words: str) -> dict[str, str]:
    return {run["id"]: run["state"] for run in json.loads(invoke("runs", "-o", "json", *words).stdout)}


def dead(invoke: Invoke, worker: Worker, count: int, *words: str, queue: str = "demo/documents") -> list[str]:
    ids = [enqueued(invoke, *words, queue=queue) for _ in range(count)]
    worker.run("failed", failure=BAD_ROW)
    return ids


def test_purge_shows_the_count_asks_and_deletes_only_the_dead_of_the_queue(
    invoke: Invoke, worker: Worker
) -> None:
    gone = dead(invoke, worker, 2)
    other = dead(invoke, worker, 1, queue="demo/mail")
    done = enqueued(invoke)
    worker.run("succeeded")
    waiting = enqueued(invoke)
    result = invoke("delete-runs", "--queue", "documents", answer="y\n")
    assert (result.exit_code, result.stdout) == (0, "2 dead runs of demo/documents were deleted.\n")
    assert (
        "2 dead runs of demo/documents would be deleted with their arguments and results; deleted runs cannot"
        " be requeued." in result.stderr
    )
    assert states(invoke) == {other[0]: "dead", done: "succeeded", waiting: "pending"}
    assert invoke("requeue", gone[0]).exit_code == 1


@pytest.mark.parametrize("answer", ["n\n", "", "\n"], ids=["no", "nobody answers", "only Enter"])
def test_without_a_yes_nothing_is_changed(answer: str, invoke: Invoke, worker: Worker) -> None:
    ids = dead(invoke, worker, 1)
    waiting = enqueued(invoke)
    for words in (
        ("delete-runs", "--queue", "documents"),
        ("cancel", "--queue", "documents", "--all-waiting"),
    ):
        result = invoke(*words, answer=answer)
        assert (result.exit_code, "nothing was changed" in result.stderr) == (1, True), result.output
    assert states(invoke) == {ids[0]: "dead", waiting: "pending"}


def test_a_dry_run_counts_and_changes_nothing(invoke: Invoke, worker: Worker) -> None:
    ids = dead(invoke, worker, 1)
    told = json.loads(
        invoke(
            "delete-runs", "--queue", "documents", "--state", "dead,unknown", "--dry-run", "-o", "json"
        ).stdout
    )
    assert (told["verb"], told["queue"], told["states"], told["count"]) == (
        "delete",
        "demo/documents",
        ["dead", "unknown"],
        1,
    )
    assert states(invoke) == {ids[0]: "dead"}


def test_nothing_to_purge_is_no_question_and_no_failure(invoke: Invoke) -> None:
    result = invoke("delete-runs", "--queue", "documents", "--state", "succeeded")
    assert (result.exit_code, result.stdout) == (
        0,
        "demo/documents has no succeeded run: nothing to delete.\n",
    )


def test_only_runs_that_ended_long_enough_ago_are_purged(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    with connect(database) as cur:
        cur.execute(
            "create table rowlock.done_old partition of rowlock.done"
            " for values from (now() - interval '20 days') to (date_trunc('day', now()) - interval '8 days')"
        )
        old, new = dead(invoke, worker, 2)
        cur.execute(
            "update rowlock.done set finished_at = finished_at - interval '10 days' where id = %s", (old,)
        )
    result = invoke("delete-runs", "--queue", "documents", "--older-than", "9d", "--yes", "-o", "json")
    assert (json.loads(result.stdout)["done"], json.loads(result.stdout)["left"]) == (1, 0)
    assert states(invoke) == {new: "dead"}


def test_the_large_arguments_of_purged_runs_go_and_those_of_others_stay(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    large = json.dumps({"text": [str(n) for n in range(2000)]})
    dead(invoke, worker, 2, "--args", large)
    kept = dead(invoke, worker, 1, "--args", large, queue="demo/mail")
    assert invoke("delete-runs", "--queue", "documents", "--yes").exit_code == 0
    with connect(database) as cur:
        cur.execute("select id::text from rowlock.payload")
        assert cur.fetchall() == [(kept[0],)]


def test_more_than_one_batch_is_purged_to_the_end(invoke: Invoke, database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "insert into rowlock.done(id, queue_id, attempt, source_id, state, priority, fairness_key,"
            " write_back, task,  infra_tries, app_tries, site_tries, created_at) select rowlock.new_id(),"
            " (select id from rowlock.queue where name = 'demo/mail'), 1, 0, (array['dead', 'succeeded'])[1 +"
            " n %% 2], 0, '', false, 't', 0, 0, 0, now() from generate_series(1, %s) n",
            (12_000,),
        )
    result = invoke("delete-runs", "--queue", "demo/mail", "--state", "dead", "--state", "succeeded", "--yes")
    assert (result.exit_code, result.stdout) == (
        0,
        "12,000 dead or succeeded runs of demo/mail were deleted.\n",
    )


def test_pending_runs_are_canceled_instead_and_can_be_requeued(invoke: Invoke) -> None:
    run_id = enqueued(invoke)
    result = invoke("delete-runs", "--queue", "documents", "--state", "pending", "--yes")
    assert (result.exit_code, result.stdout) == (0, "1 pending run of demo/documents was canceled.\n")
    assert "ago: Canceled." in invoke("why", run_id).stdout
    assert invoke("requeue", run_id).exit_code == 0


def test_all_waiting_runs_are_canceled_and_the_running_one_is_not_even_told(
    invoke: Invoke, worker: Worker
) -> None:
    running = enqueued(invoke)
    worker.start(worker.claim())
    claimed = enqueued(invoke)
    worker.claim()
    pending = [enqueued(invoke) for _ in range(2)]
    other = enqueued(invoke, queue="demo/mail")
    result = invoke("cancel", "--queue", "documents", "--all-waiting", "--reason", "WrongFiles", answer="y\n")
    assert (result.exit_code, result.stdout) == (0, "3 waiting runs of demo/documents were canceled.\n")
    assert states(invoke) == {
        running: "running",
        other: "pending",
        claimed: "canceled",
        **dict.fromkeys(pending, "canceled"),
    }
    assert "It was asked to end" not in invoke("why", running).stdout
    assert "It was canceled 0s ago: WrongFiles." in invoke("why", claimed).stdout


def test_a_run_that_starts_after_the_count_is_left_alone_which_cancel_by_id_would_end(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    run_id = enqueued(invoke)
    listed = list(states(invoke, "--state", "pending"))
    worker.start(worker.claim())
    assert invoke("cancel", "--queue", "documents", "--all-waiting", "--yes").exit_code == 0
    with connect(database) as cur:
        cur.execute("select cancel_requested from rowlock.run where id = %s", (run_id,))
        assert cur.fetchone() == (False,)
        cur.execute("select rowlock.cancel_v1(%s::uuid[])", (listed,))
        cur.execute("select cancel_requested from rowlock.run where id = %s", (run_id,))
        assert cur.fetchone() == (True,)


def test_a_run_that_is_being_started_is_left_and_counted(invoke: Invoke, database: str) -> None:
    held, free = enqueued(invoke), enqueued(invoke)
    with connect(database) as cur:
        cur.execute("begin")
        cur.execute("select from rowlock.active where id = %s for no key update", (held,))
        result = invoke("cancel", "--queue", "documents", "--all-waiting", "--yes")
        cur.execute("rollback")
    assert (result.exit_code, result.stdout) == (0, "1 waiting run of demo/documents was canceled.\n")
    assert "1 matched still" in result.stderr
    assert states(invoke) == {held: "pending", free: "canceled"}


def test_a_login_with_the_role_of_a_client_may_clear_up_but_not_purge_what_has_not_ended(
    invoke: Invoke, worker: Worker, client_url: str
) -> None:
    dead(invoke, worker, 1)
    enqueued(invoke)
    assert (
        invoke("delete-runs", "--queue", "demo/documents", "--yes", url=client_url).stdout
        == "1 dead run of demo/documents was deleted.\n"
    )
    assert (
        invoke("cancel", "--queue", "demo/documents", "--all-waiting", "--yes", url=client_url).exit_code == 0
    )
    with (
        connect(client_url) as cur,
        pytest.raises(
            Exception, match="only succeeded, dead, unknown and canceled runs are purged, not running"
        ),
    ):
        cur.execute("select rowlock.purge_v1('demo/documents', '{running}')")


def test_the_functions_are_nobodys_but_the_clients(database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "select p.proname, array_agg(a.grantee::regrole::text order by 1) from pg_proc p,"
            " aclexplode(p.proacl) a where p.proname in ('purge_v1', 'cancel_waiting_v1') and a.grantee <>"
            " p.proowner group by 1 order by 1"
        )
        assert cur.fetchall() == [("cancel_waiting_v1", ["rowlock_client"]), ("purge_v1", ["rowlock_client"])]


@pytest.mark.parametrize(
    "words",
    [
        ("delete-runs",),
        ("delete-runs", "--queue", "q", "--state", "running"),
        ("delete-runs", "--queue", "q", "--state", "dead,pending"),
        ("delete-runs", "--queue", "q", "--older-than", "7"),
        ("delete-runs", "--queue", "q", "-o", "json"),
        ("delete-runs", "--queue", "q", "--yes", "--dry-run"),
        ("cancel", "--all-waiting"),
        ("cancel", "--queue", "q"),
        ("cancel", "x", "--queue", "q", "--all-waiting"),
        ("cancel", "x", "--yes"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], invoke: Invoke) -> None:
    assert invoke(*words).exit_code == 2
