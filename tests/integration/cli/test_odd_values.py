"""Whatever the database keeps can be shown: moments beyond Python's, documents too deep for it, numbers too
long, texts that steer a terminal.
"""

import json
import math
from typing import Any

import pytest

from tests.integration.cli.monitored import comment, watched
from tests.integration.cli.stage import Invoke, Worker, enqueued
from tests.integration.monitoring.processes import prepare, sql
from tests.services.postgres import connect

pytestmark = pytest.mark.integration
MOMENTS = ("infinity", "-infinity", "294276-12-31", "4713-01-01 BC", "9999-12-31 23:59:59.999999-12")
DOCUMENTS = {
    "deep list": "[" * 3000 + "]" * 3000,
    "deep object": '{"a":' * 3000 + "1" + "}" * 3000,
    "long number": '{"n": %s}' % ("7" * 5000),
    "huge exponent": '{"n": 1e100000}',
    "list": "[1, 2]",
    "text": '"\\u001b[31mred\\nline"',
    "number": "17",
    "brackets in a text": json.dumps({"message": "[" * 5000, "reason": "\u202eodd", "class": "new"}),
}


def shows_everything(invoke: Invoke, *commands: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """Each command as a table and as JSON that any program reads; what the tables said."""
    said = {}
    for words in commands:
        shown = invoke(*words)
        assert not _crashed(shown), (words, shown.exception)
        assert all(character.isprintable() for line in shown.stdout.split("\n") for character in line), words
        assert max(map(len, shown.stdout.split("\n"))) < 2_100, words
        said[words] = shown.stdout
        as_json = invoke(*words, "-o", "json")
        assert not _crashed(as_json), (words, as_json.exception)
        json.loads(
            as_json.stdout.splitlines()[0] if words[0] == "monitor" else as_json.stdout,
            parse_constant=_not_json,
        )
    return said


def _crashed(result: Any) -> bool:
    return result.exception is not None and not isinstance(result.exception, SystemExit)


def _not_json(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def commands_about(run_id: str) -> tuple[tuple[str, ...], ...]:
    return (
        ("runs",),
        ("why", run_id),
        ("why", "queue", "documents"),
        ("dead-letters",),
        ("info",),
        ("health",),
        ("monitor", "--once"),
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_any_moment_is_shown_by_every_command(
    invoke: Invoke, worker: Worker, database: str, moment: str
) -> None:
    running, waiting, ended = (enqueued(invoke, "--priority", str(10 - i)) for i in range(3))
    worker.run("failed", failure={"class": "input", "reason": "Odd", "message": "no"})
    run_id = enqueued(invoke)
    with connect(database) as cur:
        cur.execute("update rowlock.done set started_at = %s, created_at = %s", (moment, moment))
        cur.execute("update rowlock.active set due = %s, created_at = %s", (moment, moment))
        cur.execute("update rowlock.inbox set due = %s", (moment,))
        cur.execute("update rowlock.lane set floor = %s, at = %s", (moment, moment))
        cur.execute("update rowlock.runner set lease_until = %s", (moment,))
    said = shows_everything(invoke, *commands_about(run_id), ("why", ended))
    assert "pending" in said[("runs",)]
    with connect(database) as cur:
        cur.execute(
            "update rowlock.active set state = 'running', due = null, claimed_at = %s, started_at = %s,"
            " runner = %s",
            (moment, moment, worker.runner),
        )
    shows_everything(invoke, *commands_about(run_id))
    assert running != waiting


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_any_document_is_shown_by_every_command(
    invoke: Invoke, worker: Worker, database: str, document: str
) -> None:
    ended, failed = enqueued(invoke), enqueued(invoke)
    worker.run("failed", failure={"class": "input"})
    run_id = enqueued(invoke)
    with connect(database) as cur:
        cur.execute(
            "update rowlock.done set result = %s, state = 'succeeded' where id = %s", (document, ended)
        )
        cur.execute(
            "update rowlock.done set failure = %s, progress = %s where id = %s", (document, document, failed)
        )
        cur.execute("update rowlock.active set progress = %s, failure = %s", (document, document))
    shows_everything(invoke, *commands_about(run_id), ("why", ended), ("why", failed))
    with connect(database) as cur:
        cur.execute(
            "update rowlock.active set state = 'running', started_at = now(), runner = %s", (worker.runner,)
        )
    shows_everything(invoke, *commands_about(run_id))


def test_what_can_be_taken_apart_is_told_as_it_is(invoke: Invoke, worker: Worker, database: str) -> None:
    run_id = enqueued(invoke)
    worker.run("succeeded", result={"pages": 3, "sizes": [1.5, None], "deep": {"er": {"still": "here"}}})
    (shown,) = json.loads(invoke("runs", "-o", "json").stdout)
    assert shown["result"] == {"pages": 3, "sizes": [1.5, None], "deep": {"er": {"still": "here"}}}
    with connect(database) as cur:
        cur.execute(
            "update rowlock.done set result = %s, started_at = '20000-01-01T00:00Z'",
            ('{"n": %s}' % ("7" * 5000),),
        )
    (shown,) = json.loads(invoke("runs", "-o", "json").stdout)
    assert (shown["id"], shown["result"]) == (run_id, {"n": "7" * 5000})
    assert shown["started_at"].startswith("20000-01-01 00:00:00")


def test_a_run_that_is_far_away_says_how_far(invoke: Invoke, database: str) -> None:
    run_id = enqueued(invoke)
    for moment, remark, sentence in (
        ("20000-06-01", "due in 1797", "It is not due before 20000-06-01 00:00:00"),
        ("infinity", "due in infinity", "It is not due before infinity (in infinity)."),
    ):
        with connect(database) as cur:
            cur.execute("set timezone = 'UTC'")
            cur.execute("update rowlock.active set due = %s", (moment,))
        assert remark in invoke("runs").stdout
        assert sentence in invoke("why", run_id).stdout


def test_texts_of_any_length_and_kind_keep_the_table_in_shape(invoke: Invoke, database: str) -> None:
    run_id = enqueued(invoke, "--key", "k")
    with connect(database) as cur:
        cur.execute(
            "update rowlock.active set task = repeat('t', 1000000), source_key = E'\\x1b[2J' || repeat('k',"
            " 2000), fairness_key = repeat('f', 100000), effect = repeat('e', 100000), failure ="
            " jsonb_build_object('reason', repeat('r', 1000000), 'message', E'a\\nb\\x1b]0;x\\x07')"
        )
    said = shows_everything(invoke, *commands_about(run_id))
    assert max(map(len, said[("runs",)].splitlines())) < 700
    (shown,) = json.loads(invoke("runs", "-o", "json").stdout)
    assert len(shown["task"]) == 1_000_000


def test_limits_without_bounds_are_shown(invoke: Invoke, worker: Worker, database: str) -> None:
    with connect(database) as cur:
        cur.execute("insert into rowlock.limit_rule(name, max_running, rate, burst) values ('odd', 1, 1, 1)")
        for _ in range(3):
            cur.execute("select rowlock.enqueue_v1('demo/documents', 't', p_limits => array['odd:7'])::text")
            run_id = cur.fetchone()[0]
    worker.claim()
    with connect(database) as cur:
        cur.execute("update rowlock.bucket set wake_at = 'infinity', rate = 'NaN', burst = 'infinity'")
    shows_everything(invoke, *commands_about(run_id))


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--since", "2000000d"),
        ("runs", "--since", "0001-01-01T00:00:00+14:00"),
        ("runs", "--since", "9999-12-31T23:59:59-12:00"),
        ("delete-runs", "--queue", "documents", "--older-than", "2000000d", "--yes"),
        ("runs", "--key", "\udcff"),
        ("enqueue", "documents", "t", "--key", "\udcff"),
        ("enqueue", "documents", "t", "--args", "[" * 100_000),
        ("enqueue", "documents", "t", "--arg", "a=" + "[" * 100_000),
    ],
    ids=str,
)
def test_odd_words_get_a_sentence(invoke: Invoke, words: tuple[str, ...]) -> None:
    assert not _crashed(result := invoke(*words)), result.exception


@pytest.mark.parametrize("moment", MOMENTS[:4])
def test_processes_and_comments_of_any_time_are_shown(database: str, invoke: Invoke, moment: str) -> None:
    domain = prepare(database)
    wanted = watched(domain)
    comment_id = comment(domain, wanted, "1")
    sql(
        domain,
        "update ai_comments set created_at = %s, posted_at = %s, approved_at = %s, approval = 'approved',"
        " approved_by = 'bea', article_title = %s, article_content = repeat('long ', 100000)",
        moment,
        moment,
        moment,
        "\x1b[31m" + "t" * 5_000,
    )
    sql(domain, "alter table ai_comments disable trigger user")
    sql(domain, "update monitoring_processes set started_at = %s, next_discovery_at = %s", moment, moment)
    sql(domain, "update mymoment_logins set next_login_at = %s, last_error = repeat('e', 100000)", moment)
    shows_everything(
        invoke,
        ("comments", "list"),
        ("comments", "show", comment_id),
        ("process", "status", "watch"),
        ("sessions",),
    )


def test_the_ages_of_far_moments() -> None:
    from rowlock_client.text import age

    assert (age(math.inf), age(-math.inf), age(math.nan), age(5.7e11)) == ("infinity", "0s", "0s", "18062y")
