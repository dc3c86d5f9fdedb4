"""`rowlock why row SOURCE KEY`: who asks knows a row of the own table, not the id of a run."""

import pytest

from tests.integration.cli.stage import BAD_ROW, Invoke, Worker, enqueued
from tests.services.postgres import connect

pytestmark = pytest.mark.integration


def belongs_to(database: str, run_id: str, *, source: str, key: str) -> None:
    """As if the feeder had made the run."""
    with connect(database) as cur:
        cur.execute(
            "insert into rowlock.source(name, queue_id) select %s, min(id) from rowlock.queue on conflict do"
            " nothing",
            (source,),
        )
        for table in ("active", "done"):
            cur.execute(
                f"update rowlock.{table} set source_id = (select id from rowlock.source where name = %s),"
                " source_key = %s where id = %s",
                (source, key, run_id),
            )


def test_the_newest_run_of_the_row_is_explained(invoke: Invoke, worker: Worker, database: str) -> None:
    old = enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    belongs_to(database, old, source="demo/files", key="7")
    assert "It failed for good 0s ago: NotPdf" in invoke("why", "row", "files", "7").stdout
    new = enqueued(invoke)
    belongs_to(database, new, source="demo/files", key="7")
    said = invoke("why", "row", "demo/files", "7").stdout
    assert (f"Run {new}" in said, old in said) == (True, False)


def test_a_row_without_a_run_is_said_with_what_may_be_the_reason(invoke: Invoke) -> None:
    result = invoke("why", "row", "demo/files", "7")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "no run of the source demo/files has the key 7: its row does not fulfil spec.pending" in result.stderr
    )
    assert "`kubectl get rowsource files -o wide`" in result.stderr


def test_a_source_in_two_namespaces_must_be_said_in_full(invoke: Invoke, database: str) -> None:
    for namespace in ("demo", "other"):
        belongs_to(database, enqueued(invoke), source=f"{namespace}/files", key="7")
    result = invoke("why", "row", "files", "7")
    assert (result.exit_code, "say which: demo/files, other/files" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "words", [("row",), ("row", "files"), ("row", "files", "7", "8"), ("queue",), ("a", "b")]
)
def test_half_a_question_is_wrong_usage(words: tuple[str, ...], invoke: Invoke) -> None:
    result = invoke("why", *words)
    assert (result.exit_code, "why row SOURCE KEY" in result.stderr) == (2, True)
