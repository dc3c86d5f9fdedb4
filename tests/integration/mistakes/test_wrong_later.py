"""What goes wrong with a table that was fine: told, the others served, and nothing lost once it is mended."""

import psycopg2
import pytest

from tests.integration.mistakes.stage import ROLE, Stage

pytestmark = pytest.mark.integration
NEW_ROW = "insert into {}(id) values (%s)"


def begun(stage: Stage, name: str, **spec: object) -> None:
    """A source whose two rows are done."""
    stage.table(name)
    stage.create(name, **spec)
    stage.settled(name, {1: "done", 2: "done"})


def test_a_column_that_is_dropped_and_comes_back(stage: Stage) -> None:
    begun(stage, "drops_column", columns=["id", "amount"])
    stage.sql("alter table drops_column drop column amount")
    stage.sql(NEW_ROW.format("drops_column"), 3)
    stage.told("drops_column", "ColumnMissing", "amount", "spec.columns or spec.args")
    stage.sql("alter table drops_column add column amount int")
    stage.settled("drops_column", {1: "done", 2: "done", 3: "done"})
    stage.well("drops_column")


def test_a_table_that_is_dropped_and_made_again(stage: Stage) -> None:
    begun(stage, "drops_table")
    stage.sql("drop table drops_table")
    stage.told("drops_table", "TableMissing", "drops_table", "create it")
    stage.table("drops_table", rows=3)
    stage.settled("drops_table", {1: "done", 2: "done", 3: "done"})
    stage.well("drops_table")


def test_a_right_that_is_revoked_and_granted_again(stage: Stage) -> None:
    begun(stage, "revokes")
    stage.sql(f"revoke update on revokes from {ROLE}")
    stage.sql(NEW_ROW.format("revokes"), 3)
    stage.told("revokes", "NotAllowed", "may not UPDATE", "GRANT")
    stage.sql(f"grant update on revokes to {ROLE}")
    stage.settled("revokes", {1: "done", 2: "done", 3: "done"})


def test_a_check_that_refuses_the_outcome_keeps_it_until_the_check_is_gone(stage: Stage) -> None:
    stage.table("refuses_outcome", rows=0)
    stage.create("refuses_outcome", task="fails", columns=None, args={"permanent": "amount"})
    stage.well("refuses_outcome")
    # Beside the status another column: such a check can only be met, not foreseen.
    stage.sql("alter table refuses_outcome add constraint why check (status <> 'error' or amount < 0)")
    stage.sql(NEW_ROW.format("refuses_outcome"), 1)
    stage.told("refuses_outcome", "RowRefused", "row 1", "why", "Mend the row")
    assert stage.statuses("refuses_outcome") == {1: "queued"}
    stage.sql("alter table refuses_outcome drop constraint why")
    stage.settled("refuses_outcome", {1: "error"})
    assert stage.sql("select error from refuses_outcome") == [("no such customer",)]
    stage.well("refuses_outcome")


def test_one_outcome_that_is_refused_holds_up_no_other(stage: Stage) -> None:
    stage.table("refuses_one_outcome", rows=0)
    stage.sql("alter table refuses_one_outcome add constraint why check (status <> 'done' or id <> 2)")
    stage.sql("insert into refuses_one_outcome(id) values (1), (2), (3)")
    stage.create("refuses_one_outcome")
    stage.settled("refuses_one_outcome", {1: "done", 2: "queued", 3: "done"})
    stage.told("refuses_one_outcome", "RowRefused", "row 2")
    stage.sql("alter table refuses_one_outcome drop constraint why")
    stage.settled("refuses_one_outcome", {1: "done", 2: "done", 3: "done"})


def test_one_row_that_a_trigger_refuses_holds_up_no_other(stage: Stage) -> None:
    stage.sql(
        "create function not_this_one() returns trigger language plpgsql as $$ begin raise exception 'row %"
        " is closed', new.id; end $$"
    )
    stage.table("refuses_one", rows=20)
    stage.sql(
        "create trigger closed before update on refuses_one for each row when (new.id = 2) execute function"
        " not_this_one()"
    )
    stage.create("refuses_one")
    stage.settled("refuses_one", {number: "new" if number == 2 else "done" for number in range(1, 21)})
    stage.told("refuses_one", "RowsLeftOut", "id 2", "row 2 is closed", type_="Degraded")
    stage.sql("drop trigger closed on refuses_one")
    stage.settled("refuses_one", dict.fromkeys(range(1, 21), "done"))
    stage.well("refuses_one")


def test_a_trigger_that_refuses_every_row_is_the_sources_trouble(stage: Stage) -> None:
    stage.sql(
        "create function closed() returns trigger language plpgsql as $$ begin raise exception 'the books are"
        " closed'; end $$"
    )
    stage.table("refuses_all", rows=50)
    stage.sql("create trigger closed before update on refuses_all for each row execute function closed()")
    stage.create("refuses_all")
    stage.told("refuses_all", "RowRefused", "the books are closed")
    stage.sql("drop trigger closed on refuses_all")
    stage.flows("refuses_all", 50)
    stage.well("refuses_all")


def test_a_value_that_json_cannot_hold_holds_up_no_other(stage: Stage) -> None:
    stage.sql(
        "create table nul_in_json(id int primary key, body json, status text not null default 'new', error"
        " text)"
    )
    stage.sql(
        "insert into nul_in_json(id, body) select i, json_build_object('n', i) from generate_series(1, 10) i"
    )
    stage.sql("""update nul_in_json set body = '{"n": "a\\u0000b"}' where id = 4""")
    stage.create("nul_in_json", columns=["id", "body"])
    stage.settled("nul_in_json", {number: "new" if number == 4 else "done" for number in range(1, 11)})
    stage.told("nul_in_json", "RowsLeftOut", "id 4", "Unicode", type_="Degraded")
    stage.sql("""update nul_in_json set body = '{"n": "ab"}' where id = 4""")
    stage.settled("nul_in_json", dict.fromkeys(range(1, 11), "done"))


def test_a_locked_table_is_told_and_holds_up_no_other(stage: Stage) -> None:
    begun(stage, "locked")
    holder = psycopg2.connect(stage.room.url)
    try:
        with holder.cursor() as cursor:
            cursor.execute("lock table locked in access exclusive mode")
        stage.told("locked", "TableLocked", "lock timeout", "once it is released")
        stage.others_are_served()
    finally:
        holder.close()
    stage.sql(NEW_ROW.format("locked"), 3)
    stage.settled("locked", {1: "done", 2: "done", 3: "done"})


def test_a_row_that_its_user_holds_is_left_until_it_is_free(stage: Stage) -> None:
    stage.table("held_row", rows=0)
    stage.create("held_row")
    stage.well("held_row")
    stage.sql("insert into held_row(id) values (1), (2)")
    stage.flows("held_row")
    holder = psycopg2.connect(stage.room.url)
    try:
        with holder.cursor() as cursor:
            cursor.execute("insert into held_row(id) values (3)")
            cursor.execute("select from held_row where id = 2 for update")
        stage.sql("update held_row set status = 'new' where id = 1")
        stage.flows("held_row", 3)
        stage.others_are_served()
    finally:
        holder.close()
    stage.settled("held_row", {1: "done", 2: "done"})


def test_a_status_column_whose_type_changes(stage: Stage) -> None:
    begun(stage, "changes_type")
    stage.sql("create type phase as enum ('new', 'queued', 'done', 'error')")
    stage.sql(
        "alter table changes_type alter column status drop default, alter column status type phase using"
        " status::phase"
    )
    stage.sql("insert into changes_type(id, status) values (3, 'new')")
    stage.settled("changes_type", {1: "done", 2: "done", 3: "done"})
    stage.well("changes_type")
