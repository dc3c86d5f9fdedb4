"""`rowlock forget-keys`: what a source without a status column took is taken again; nothing goes unasked."""

import json

import pytest

from tests.integration.cli.stage import Invoke
from tests.services.postgres import connect

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def sources(database: str, invoke: Invoke) -> None:
    """Two sources that remember keys (one had another table before), and one with a status column."""
    with connect(database) as cur:
        cur.execute("""
            insert into rowlock.source(name, queue_id, relation, key_column, spec, retired_at)
              values ('demo/cookies', 1, 'public.old', 'id', '{"table": "public.old"}', now()),
                     ('demo/cookies', 1, 'public.cookies', 'id', '{"table": "public.cookies"}', null),
                     ('demo/letters', 1, 'public.letters', 'id', '{"table": "public.letters"}', null),
                     ('other/letters', 1, 'public.letters', 'id', '{"plan": {"status_column": "status"}}',
                     null);
            insert into rowlock.seen(source_id, key)
              select s.id, k from rowlock.source s, unnest('{1,2,3}'::text[]) k
                where s.relation <> 'public.letters'
            """)


def remembered(database: str, source: str = "demo/cookies") -> set[str]:
    with connect(database) as cur:
        cur.execute("select key from rowlock.seen where source_id = rowlock.source_id(%s)", (source,))
        return {key for (key,) in cur.fetchall()}


def test_keys_are_forgotten_after_a_yes_and_those_of_the_former_table_stay(
    invoke: Invoke, database: str
) -> None:
    result = invoke("forget-keys", "cookies", "--all", answer="y\n")
    assert (result.exit_code, result.stdout) == (
        0,
        "3 remembered keys of demo/cookies were forgotten.\n",
    ), result.output
    assert "3 remembered keys of demo/cookies (table public.cookies) would be forgotten" in result.stderr
    assert remembered(database) == set()
    with connect(database) as cur:
        cur.execute("select count(*) from rowlock.seen")
        assert cur.fetchone() == (3,)


def test_single_keys_are_forgotten(invoke: Invoke, database: str) -> None:
    told = json.loads(
        invoke("forget-keys", "demo/cookies", "--key", "2", "--key", "77", "--yes", "-o", "json").stdout
    )
    assert (told["remembered"], told["forgotten"], told["keys"]) == (1, 1, ["2", "77"])
    assert remembered(database) == {"1", "3"}


@pytest.mark.parametrize("answer", ["n\n", "", "\n"], ids=["no", "nobody answers", "only Enter"])
def test_without_a_yes_nothing_is_forgotten(answer: str, invoke: Invoke, database: str) -> None:
    result = invoke("forget-keys", "cookies", "--all", answer=answer)
    assert (result.exit_code, "nothing was changed" in result.stderr) == (1, True), result.output
    assert remembered(database) == {"1", "2", "3"}


def test_a_dry_run_only_says_how_many(invoke: Invoke, database: str) -> None:
    assert (
        "1 remembered key of demo/cookies"
        in invoke("forget-keys", "cookies", "--key", "1", "--dry-run").stdout
    )
    assert remembered(database) == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("cookies", "--key", "77"),
            0,
            "demo/cookies remembers none of these keys of table public.cookies: nothing to forget.",
        ),
        (
            ("demo/letters", "--all"),
            0,
            "demo/letters remembers no key of table public.letters: nothing to forget.",
        ),
        (("other/letters", "--all"), 1, "other/letters has a status column, so it remembers no keys"),
        (
            ("letters", "--all"),
            1,
            "the source letters is in more than one namespace; say which: demo/letters, other/letters",
        ),
        (
            ("nothing", "--all"),
            1,
            "there is no source nothing; known: demo/cookies, demo/letters, other/letters",
        ),
        (("cookies",), 2, "name the rows by --key, or say --all"),
        (("cookies", "--all", "--key", "1"), 2, "name the rows by --key, or say --all"),
        (("cookies", "--all", "-o", "json"), 2, "a program is not asked"),
    ],
)
def test_what_cannot_be_forgotten_is_said(
    words: tuple[str, ...], code: int, said: str, invoke: Invoke
) -> None:
    result = invoke("forget-keys", *words)
    assert (result.exit_code, said in result.output) == (code, True), result.output


def test_a_client_forgets_keys_and_is_told_the_names(invoke: Invoke, database: str, client_url: str) -> None:
    assert invoke("forget-keys", "demo/cookies", "--all", "--yes", url=client_url).exit_code == 0
    assert remembered(database) == set()
    unknown = invoke("forget-keys", "demo/nothing", "--all", "--yes", url=client_url)
    assert (unknown.exit_code, 'row source "demo/nothing" is not known' in unknown.stderr) == (
        1,
        True,
    ), unknown.output


def test_health_tells_of_outcomes_that_cannot_be_written(invoke: Invoke, database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "update rowlock.source set trouble = 'Outcomes cannot be written: the table is gone.' where"
            " relation = 'public.old'"
        )
        cur.execute(
            "insert into rowlock.outbox(source_id, source_key, state) select id, '1', 'succeeded' from"
            " rowlock.source where trouble <> ''"
        )
    result = invoke("health")
    assert (result.exit_code, "problem: 1 waiting: Outcomes cannot be written" in result.stdout) == (
        1,
        True,
    ), result.stdout
