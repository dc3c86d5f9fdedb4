"""A clock that goes forward and comes back delays nothing by more than it should."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def shift(database: str) -> Iterator[Callable[[str], None]]:
    """Sets the ledger's clock so much ahead: its functions find this clock before PostgreSQL's own."""
    admin = LedgerClient(database)
    admin.rows(
        "create table public.shift(by interval not null); insert into public.shift values ('0');"
        "create function rowlock.clock_timestamp() returns timestamptz language sql volatile as"
        " $$ select pg_catalog.clock_timestamp() + (select by from public.shift) $$;"
        "alter table rowlock.active alter created_at set default rowlock.clock_timestamp()"
    )
    yield lambda by: admin.rows("update public.shift set by = %s", by) and None
    admin.close()


@pytest.fixture
def shifted(database: str, shift: Callable[[str], None]) -> Iterator[LedgerClient]:
    client = LedgerClient(database)
    client.rows("select rowlock.hello_v1('first look')")
    yield client
    client.close()


@pytest.mark.parametrize("by", ["2 h", "10 days", "5 min", "3 years"])
def test_what_was_stamped_ahead_goes_on_when_the_clock_is_back(
    shift: Callable[[str], None], shifted: LedgerClient, by: str
) -> None:
    ledger = shifted
    ledger.rows(
        "select rowlock.set_limit_v1('one', 1, null, null), rowlock.set_limit_v1('pace', null, 100, 1)"
    )
    early = [ledger.enqueue(limits=["one:a"]) for _ in range(2)]
    failing, ending = ledger.running(), ledger.running(fairness_key="x")
    ledger.claim()
    shift(by)
    runner = ledger.hello()
    ledger.finish(failing, outcome="failed", failure={"class": "app", "after_seconds": 30})
    ledger.finish(ending, outcome="failed", failure={"class": "input"})
    ledger.rows("select rowlock.requeue_v1(array[%s]::uuid[])", ending)
    paced = [ledger.enqueue(limits=["pace:a"]) for _ in range(2)]
    taken = ledger.claim()
    assert len(set(taken) & set(paced)) == 1
    held = ledger.enqueue(fairness_key="later")
    wish = ledger.value(
        "select rowlock.enqueue_v1('default/q', 't', p_due => pg_catalog.clock_timestamp() + interval '1 day'"
        " + %s)::text",
        by,
    )
    shift("0")
    ledger.rows("select rowlock.relane_v1()")
    seen = set(taken)

    def all_taken() -> bool:
        seen.update(ledger.claim())
        return {held, ending, *paced} <= seen

    wait_until(all_taken, "what waited is handed out", 3)
    assert (
        25
        < ledger.value(
            "select extract(epoch from due - pg_catalog.clock_timestamp()) from rowlock.active where id = %s",
            failing,
        )
        < 31
    )
    assert ledger.value(
        "select due > pg_catalog.clock_timestamp() + interval '1 day' from rowlock.active where id = %s", wish
    )
    assert ledger.value(
        "select lease_until < pg_catalog.clock_timestamp() + interval '12 s' from rowlock.runner where id"
        " = %s",
        runner,
    )
    assert (
        ledger.value("select count(*) from rowlock.active where claimed_at > pg_catalog.clock_timestamp()")
        == 0
    )
    ledger.rows(
        "select rowlock.cancel_v1(array[%s]::uuid[])", [r for r in early if ledger.field(r, "claimed_at")][0]
    )
    assert set(ledger.claim()) & set(early), "the one behind the limit comes when its place is free"


def test_without_the_repair_it_waits_as_long_as_the_clock_was_ahead(
    shift: Callable[[str], None], shifted: LedgerClient
) -> None:
    shifted.rows(
        "create or replace function rowlock.mend_clock() returns bool language sql as 'select false'"
    )
    shift("2 h")
    run = shifted.enqueue()
    shifted.claim(0)
    shift("0")
    shifted.rows("select rowlock.relane_v1()")
    assert shifted.claim() == []
    assert shifted.state(run) == "pending"


def test_what_was_told_while_no_operator_led_is_found_by_the_runs_ids(ledger: LedgerClient) -> None:
    """The clock was two hours ahead, nobody claimed, and it is back: only the rows know."""
    run = ledger.enqueue()
    ahead = "'2 h'::interval"
    new_id = (
        "(lpad(to_hex((extract(epoch from clock_timestamp() + '2 h') * 1000)::bigint), 12, '0')"
        " || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"
    )
    ledger.rows(
        f"update rowlock.active set id = {new_id}, due = due + {ahead}, created_at = created_at + {ahead}"
        " where id = %s",
        run,
    )
    ledger.rows(
        f"update rowlock.inbox set due = due + {ahead}; update rowlock.clock set latest = clock_timestamp() -"
        " interval '1 h'"
    )
    assert ledger.claim() == []
    ledger.rows(
        "update rowlock.clock set latest = clock_timestamp() - interval '1 h'; select rowlock.relane_v1()"
    )
    assert len(ledger.claim()) == 1


def test_a_clock_that_never_went_back_changes_nothing(ledger: LedgerClient) -> None:
    ledger.enqueue()
    ledger.rows("select rowlock.enqueue_v1('default/q', 't', p_due => clock_timestamp() + interval '3 h')")
    ledger.claim()
    before = ledger.rows("select id, due, claimed_at, created_at from rowlock.active order by id")
    for _ in range(3):
        ledger.rows("select rowlock.relane_v1()")
    assert ledger.rows("select id, due, claimed_at, created_at from rowlock.active order by id") == before
    written = ledger.value("select latest from rowlock.clock")
    ledger.claim()
    assert ledger.value("select latest from rowlock.clock") == written, "at rest nothing is written"
