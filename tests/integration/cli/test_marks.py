"""Rows that carry our mark and have no run: told where somebody looks for them."""

import pytest

from tests.integration.cli.stage import Invoke
from tests.services.postgres import connect

pytestmark = pytest.mark.integration
SENTENCE = "2 rows of public.orders are marked as taken and have no run: 17, 18."


@pytest.fixture(autouse=True)
def found(database: str) -> None:
    """What the audit of a source wrote."""
    with connect(database) as cur:
        cur.execute(
            "insert into rowlock.source(name, queue_id, relation, key_column, spec, marks) values ('demo/o',"
            " 1, 'public.orders', 'id', '{}', %s)",
            (SENTENCE,),
        )


def test_health_tells_of_rows_that_no_run_belongs_to(invoke: Invoke) -> None:
    result = invoke("health")
    assert (result.exit_code, SENTENCE in result.stdout) == (1, True), result.output


@pytest.mark.parametrize("source", ["demo/o", "o"])
def test_who_asks_why_such_a_row_does_not_run_is_told(source: str, invoke: Invoke) -> None:
    result = invoke("why", "row", source, "17")
    assert (result.exit_code, SENTENCE in result.stderr) == (1, True), result.output


def test_they_are_told_no_more_once_the_source_is_gone(invoke: Invoke, database: str) -> None:
    with connect(database) as cur:
        cur.execute("update rowlock.source set retired_at = now() where name = 'demo/o'")
    assert SENTENCE not in invoke("health").output
