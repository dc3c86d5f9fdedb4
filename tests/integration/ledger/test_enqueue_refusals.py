"""What a caller may not ask for is refused in the caller's own statement, with a sentence and a remedy; what
it may ask for stays as it was.
"""

import threading
from typing import Any

import psycopg2
import pytest

from tests.integration.ledger.ledger_client import QUEUE, LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
BAD: dict[str, tuple[str, Any]] = {
    "no task": ("p_task => null", "p_task"),
    "an empty task": ("p_task => ''", "p_task"),
    "a long task": ("p_task => repeat('t', 201)", "p_task"),
    "no priority": ("p_priority => null", "null is outside -100..100"),
    "a high priority": ("p_priority => 101", "101 is outside"),
    "a list": ("p_args => '[]'", "args must be a JSON object"),
    "a long key": ("p_key => repeat('k', 2001)", "p_key has 2001 bytes"),
    "a long key of two-byte letters": ("p_key => repeat('é', 1001)", "p_key has 2002 bytes"),
    "a key of a megabyte": ("p_key => repeat('k', 1000000)", "p_key"),
    "an empty key": ("p_key => ''", "p_key"),
    "no fairness key": ("p_fairness_key => null", "p_fairness_key is null"),
    "a long fairness key": ("p_fairness_key => repeat('f', 8001)", "p_fairness_key has 8001 bytes"),
    "null among limits": ("p_limits => array['site:a', null]", "a name in p_limits is null"),
    "only null": ("p_limits => array[null::text]", "a name in p_limits is null"),
    "a giant among limits": ("p_limits => array['site:' || repeat('x', 8000)]", "bytes, more than 8000"),
    "a megabyte": ("p_limits => array['site:' || repeat('x', 1000000)]", "bytes, more than 8000"),
    "many limits": ("p_limits => array(select 'site:' || i from generate_series(1, 21) i)", "21 names"),
    "a table of limits": ("p_limits => array[array['site:a'], array['site:b']]", "not a plain list"),
    "a limit nobody registered": ("p_limits => array['site:a', 'per-custommer:7']", "per-custommer"),
    "an empty limit": ("p_limits => array['']", "a limit without a rule"),
    "a separator in a limit": ("p_limits => array[E'site:a\\x01site:b']", "control character"),
    "never": ("p_due => 'infinity'", "more than 100 years away"),
    "always": ("p_due => '-infinity'", "more than 100 years away"),
    "in the year 20000": ("p_due => '20000-01-01'", "more than 100 years away"),
    "before Christ": ("p_due => '0044-03-15 BC'", "more than 100 years away"),
    "in 101 years": ("p_due => now() + interval '101 years'", "more than 100 years away"),
}


def test_it_is_refused_and_nothing_is_left_of_it(ledger: LedgerClient, subtests: pytest.Subtests) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 2, null, null)")
    for name, (words, said) in BAD.items():
        with subtests.test(name):
            task = "" if "p_task" in words else "p_task => 't', "
            with pytest.raises(psycopg2.Error) as refused:
                ledger.rows(f"select rowlock.enqueue_v1('{QUEUE}', {task}{words})")
            assert refused.value.pgcode == "RW002"
            assert said in str(refused.value)
            assert len(str(refused.value)) < 2_000
            assert ledger.rows(
                "select (select count(*) from rowlock.active) + (select count(*) from rowlock.inbox)"
            ) == [(0,)]
    well = ledger.enqueue(limits=["site:a"])
    assert ledger.claim() == [well]


def test_what_is_odd_and_within_its_bounds_runs(ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 2, null, null)")
    runs = [
        ledger.value(f"select rowlock.enqueue_v1('{QUEUE}', 't', {words})::text")
        for words in (
            "p_key => (select string_agg(md5(i::text), '') from generate_series(1, 62) i)",
            "p_fairness_key => (select string_agg(md5(i::text), '') from generate_series(1, 250) i)",
            (
                "p_limits => array['site:' || (select string_agg(md5(i::text), '') from generate_series(1,"
                " 249) i)]"
            ),
            "p_limits => array['site:a', 'site:a', 'site:']",
            "p_limits => null, p_args => null, p_due => null",
            "p_due => now() - interval '99 years'",
            "p_priority => -100",
        )
    ]
    assert sorted(ledger.claim()) == sorted(runs)


def test_a_limit_without_a_rule_is_refused_with_those_there_are(ledger: LedgerClient) -> None:
    """Its twin is what it was: ten of ten at once."""
    ledger.rows("select rowlock.set_limit_v1('per-customer', 1, null, null)")
    with pytest.raises(psycopg2.Error) as refused:
        ledger.enqueue(limits=["per-custommer:7"])
    assert "per-customer" in str(refused.value.diag.message_hint)
    for _ in range(10):
        ledger.enqueue(limits=["per-customer:7"])
    assert len(ledger.claim()) == 1


def test_the_guard_off_a_misspelled_limit_limits_nothing(ledger: LedgerClient) -> None:
    ledger.rows(
        "create or replace function rowlock.check_limits(p_limits text[]) returns void language sql as ''"
    )
    for _ in range(10):
        ledger.enqueue(limits=["per-custommer:7"])
    assert len(ledger.claim()) == 10


def test_a_task_that_the_queue_does_not_list_is_refused_with_the_list(ledger: LedgerClient) -> None:
    ledger.rows("update rowlock.queue set tasks = array['bill', 'remind']")
    with pytest.raises(psycopg2.Error) as refused:
        ledger.rows(f"select rowlock.enqueue_v1('{QUEUE}', 'bil')")
    assert (refused.value.pgcode, "bill, remind" in str(refused.value.diag.message_hint)) == ("RW002", True)
    assert ledger.value(f"select rowlock.enqueue_v1('{QUEUE}', 'bill')") is not None
    for not_known in ("null", "'{}'"):
        ledger.rows(f"update rowlock.queue set tasks = {not_known}")
        assert ledger.value(f"select rowlock.enqueue_v1('{QUEUE}', 'anything')") is not None


def test_an_unknown_queue_is_refused_with_the_remedy_also_among_thousands(ledger: LedgerClient) -> None:
    ledger.rows("insert into rowlock.queue(name) select 'many/q' || i from generate_series(1, 3000) i")
    for name in ("'default/typo'", "null", "''", "repeat('x', 100000)"):
        with pytest.raises(psycopg2.Error) as refused:
            ledger.rows(f"select rowlock.enqueue_v1({name}, 't')")
        assert (refused.value.pgcode, len(str(refused.value)) < 3_000) == ("RW001", True)
        assert "p_wait_for_queue => true" in str(refused.value.diag.message_hint)


def test_a_run_waits_for_a_queue_that_its_caller_expects(ledger: LedgerClient) -> None:
    run = ledger.value("select rowlock.enqueue_v1('default/later', 't', p_wait_for_queue => true)::text")
    assert ledger.claim() == []
    assert ledger.rows("select deleted, expected from rowlock.queue where name = 'default/later'") == [
        (True, True)
    ]
    with pytest.raises(psycopg2.Error) as refused:  # whoever does not expect it is told as before
        ledger.rows("select rowlock.enqueue_v1('default/later', 't')")
    assert refused.value.pgcode == "RW001"
    assert (
        ledger.value("select rowlock.enqueue_v1('default/later', 't', p_wait_for_queue => true)") is not None
    )
    for never in ("Default/Later", "no-slash", "a/b/c", "default/" + "x" * 500):
        with pytest.raises(psycopg2.Error) as refused:
            ledger.rows("select rowlock.enqueue_v1(%s, 't', p_wait_for_queue => true)", never)
        assert (refused.value.pgcode, "can never exist" in str(refused.value)) == ("RW001", True)
    assert ledger.state(run) == "pending"


def test_two_who_expect_the_same_queue_do_not_wait_for_each_other_for_long(
    ledger: LedgerClient, database: str
) -> None:
    ledger.connection.autocommit = False
    ledger.rows("select rowlock.enqueue_v1('default/later', 't', p_wait_for_queue => true)")
    refused: list[str | None] = []

    def other() -> None:
        with connect(database) as cur:
            try:
                cur.execute("select rowlock.enqueue_v1('default/later', 't', p_wait_for_queue => true)")
            except psycopg2.Error as error:
                refused.append(error.pgcode)

    thread = threading.Thread(target=other)
    thread.start()
    wait_until(lambda: refused, "it is told", 20)
    assert refused == ["RW001"]
    thread.join()
    ledger.connection.commit()
    with connect(database) as cur:
        cur.execute("select rowlock.enqueue_v1('default/later', 't', p_wait_for_queue => true)")


def test_a_deleted_queue_takes_runs_and_says_so(ledger: LedgerClient) -> None:
    ledger.rows("update rowlock.queue set deleted = true, suspended = true")
    del ledger.connection.notices[:]
    assert ledger.enqueue() is not None
    assert f'work queue "{QUEUE}" is deleted' in "".join(ledger.connection.notices)
    del ledger.connection.notices[:]
    ledger.rows("update rowlock.queue set changed_at = now() - interval '20 days'")
    assert ledger.value(f"select rowlock.enqueue_v1('{QUEUE}', 't', p_wait_for_queue => true)") is not None
    assert "".join(ledger.connection.notices) == ""
    assert ledger.value("select changed_at > now() - interval '1 hour' from rowlock.queue"), (
        "it is asked for: its runs are kept"
    )
