"""Tasks that are not known, and arguments that are no arguments."""

from typing import Any

import psycopg2
import pytest

from tests.integration.jobs.stage import QUEUE, Stage, WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import dispatching, order_plan

pytestmark = pytest.mark.integration


def test_a_task_that_is_not_allowed_is_refused_with_the_place_to_allow_it(
    stage: BadStage, worker: WorkerProcess
) -> None:
    (run_id,) = stage.run("no_such_task")
    failure = stage.wait_state(run_id, "dead")["failure"]
    assert (failure["class"], failure["reason"]) == ("input", "TaskNotAllowed")
    assert "'no_such_task' is not in the WorkQueue's spec.tasks: add it there" in failure["message"]
    stage.the_next_run_is_well(worker)


def test_a_worker_without_a_task_it_should_have_says_so_and_takes_no_run(stage: BadStage) -> None:
    (run_id,) = stage.run("describe")
    worker = stage.worker(ready=False, tasks="describe,not_written_yet")
    assert worker.wait() == 2
    said = worker.log.read_text()
    assert "task not_written_yet of ROWLOCK_TASKS is registered by no module of ROWLOCK_IMPORTS" in said
    assert stage.look(run_id)["state"] == "queued"


@pytest.mark.parametrize("args", ["[1, 2]", '"text"', "7", "true", "null"])
def test_enqueue_takes_nothing_but_named_arguments(stage: BadStage, args: str) -> None:
    with pytest.raises(psycopg2.Error, match="args must be a JSON object"):
        stage.sql("select rowlock.enqueue_v1(%s, 'echo_args', %s::jsonb)", QUEUE, args)
    assert stage.sql("select count(*) from rowlock.run") == [(0,)]


@pytest.mark.parametrize(
    "args", ["{'a': 1}", '{"a": NaN}', '{"a": "\\u0000"}', "{"], ids=["quotes", "NaN", "NUL", "cut off"]
)
def test_what_is_no_json_is_refused_where_it_is_written(stage: BadStage, args: str) -> None:
    with pytest.raises(psycopg2.DataError):
        stage.sql("select rowlock.enqueue_v1(%s, 'echo_args', %s::jsonb)", QUEUE, args)


ODD: dict[str, Any] = {
    "": "an empty name",
    'customer\'s "name" \\': "quotes",
    "journal_": None,
    "text": "\u2028\ud83d\ude00\x7f\x01".encode("utf-16", "surrogatepass").decode("utf-16"),
    "deep": [[[[[{"a": [None, True, 0.1, -0.5, 1e15]}]]]]],
    "large": 2**70,
    "long": "x" * 300_000,
}


def test_odd_arguments_arrive_as_they_were_given(stage: BadStage, worker: WorkerProcess) -> None:
    assert stage.works("echo_args", **ODD) == ODD
    stage.the_next_run_is_well(worker)


@pytest.mark.parametrize(
    "value",
    ["1" + "0" * 5000, "[" * 3000 + "]" * 3000],
    ids=["a number of 5001 digits", "3000 brackets deep"],
)
def test_arguments_that_python_cannot_read_are_wrong_input_and_not_tried_again(
    stage: BadStage, worker: WorkerProcess, value: str
) -> None:
    [(run_id,)] = stage.sql(
        "select rowlock.enqueue_v1(%s, 'echo_args', %s::jsonb)::text", QUEUE, f'{{"a": {value}}}'
    )
    stage.dispatch(1)
    found = stage.wait_state(run_id, "dead")
    assert (found["failure"]["class"], found["failure"]["reason"], found["attempt"]) == (
        "input",
        "ArgsNotReadable",
        1,
    )
    stage.the_next_run_is_well(worker)


VALUES = {
    "not_a_number": ("numeric", "'NaN'", "NaN"),
    "endless": ("float8", "'-Infinity'", "-Infinity"),
    "end_of_days": ("timestamptz", "'infinity'", "infinity"),
    "before_christ": ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    "bytes": ("bytea", r"'\x00ff'", "\\x00ff"),
    "nothing": ("text", "null", None),
    "empty": ("text", "''", ""),
    "list_of_lists": ("int[]", "'{{1,2},{3,null}}'", [[1, 2], [3, None]]),
    "span": ("int4range", "'[1,5)'", "[1,5)"),
    "json_text": ("json", "'\"a\"'", "a"),
    "json_null": ("jsonb", "'null'", None),
    "yes": ("bool", "true", True),
    "waits": ("interval", "'1 day -2 hours'", "1 day -02:00:00"),
    "where_": ("point", "'(1,2)'", "(1,2)"),
    "select": ("text", "'a reserved word'", "a reserved word"),
    'a "quote"': ("text", "'in its name'", "in its name"),
    "precise": ("numeric", "1.00", 1.0),
}


def test_row_values_of_any_type_reach_the_task_as_json(
    database: str, redis_url: str, stage: BadStage
) -> None:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    columns = ", ".join(f"{quoted(name)} {kind}" for name, (kind, _, _) in VALUES.items())
    with connect(database) as cursor:
        cursor.execute(
            "create table orders(id int primary key, status text not null default 'new', error text,"
            f" {columns})"
        )
        cursor.execute("create index on orders(id) where status = 'new'")
        cursor.execute(
            "insert into orders values (1, 'new', null,"
            f" {', '.join(value for _, value, _ in VALUES.values())})"
        )
    with dispatching(database, redis_url) as bench:
        stage.worker(queue="default/orders")
        bench.source(order_plan(task="echo_args", arguments=tuple((name, name) for name in VALUES)))
        [(run_id,)] = _one_run(stage)
        assert stage.wait_state(run_id, "succeeded")["result"] == {
            name: value for name, (_, _, value) in VALUES.items()
        }


def _one_run(stage: Stage) -> list[tuple[str]]:
    found = wait_until(lambda: stage.sql("select id::text from rowlock.run"), "the row is a run")
    assert isinstance(found, list)
    return found
