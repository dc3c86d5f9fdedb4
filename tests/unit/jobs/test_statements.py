"""Which texts would end the transaction they are sent in."""

import pytest

from rowlock_jobs.fence.statements import ending_statement

ENDS = [
    ("commit", "COMMIT"),
    ("  CoMMit work ;", "COMMIT"),
    ("/* a /* nested */ comment */ commit", "COMMIT"),
    ("-- a comment\nend", "END"),
    ("insert into t values (1); commit; begin", "COMMIT"),
    ("select 'it''s'; rollback", "ROLLBACK"),
    ("select $$ ; $$; abort transaction", "ABORT"),
    ("select $x$ $$ ; $x$; rollback and chain", "ROLLBACK"),
    ("prepare transaction 'x'", "PREPARE TRANSACTION"),
    ('select 1 as "a;b"; end', "END"),
    (r"select E'\'; ' ; commit", "COMMIT"),
    ("create function f() returns int begin atomic select 1; end; commit", "COMMIT"),
    (";;commit", "COMMIT"),
]
STAYS = [
    "select 1",
    "insert into t values ('commit')",
    "insert into t values ('; commit; ')",
    "insert into t values ('it''s; commit')",
    r"select E'it\'s; commit; '",
    "select $$; commit; $$",
    "select $body$ begin; commit; end $body$",
    "select case when true then 1 end",
    "-- ; commit\nselect 1",
    "/* ; commit */ select 1",
    "/* /* */ ; commit */ select 1",
    'select 1 as "; commit; "',
    "rollback to savepoint a",
    "ROLLBACK WORK TO a",
    "rollback to a; release a",
    "prepare q as select 1",
    "savepoint a",
    "select commit, rollback from ends where abort",
    (
        "create function f() returns int language sql begin atomic select 1; select case when true then 2"
        " end; end"
    ),
    "create procedure p() language plpgsql as $$ begin commit; end $$",
    "update t set end_at = now()",
    "with ends as (select 1) select * from ends",
    "",
]


@pytest.mark.parametrize(("text", "word"), ENDS)
def test_a_statement_that_ends_its_transaction_is_found(text: str, word: str) -> None:
    assert ending_statement(text) == word


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_like_it_is_let_through(text: str) -> None:
    assert ending_statement(text) is None


def test_a_backslash_hides_a_quote_where_the_server_reads_it_so() -> None:
    text = r"select '\'; commit; '"
    assert ending_statement(text) == "COMMIT"
    assert ending_statement(text, backslash_escapes=True) is None
