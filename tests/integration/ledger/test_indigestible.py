"""What the ledger cannot digest stands alone: it is set aside with a reason, and everything else goes on."""

from typing import Any

import psycopg2
import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration


def put(
    ledger: LedgerClient,
    *,
    limits: list[Any] | None = None,
    due: str = "now",
    queue_id: int | None = None,
    fairness_key: str = "",
) -> str:
    """A run as it may stand in the tables, whatever the functions for callers refuse."""
    queue = queue_id or ledger.queue_id
    return str(
        ledger.value(
            "with run as (insert into rowlock.active(id, lane, due, queue_id, fairness_key, limits, task,"
            " args) values (rowlock.new_id(), rowlock.lane_of(%s, 0::smallint, %s, %s), %s, %s, %s, %s, 't',"
            " '{}') returning *), event as (insert into rowlock.inbox(lane, queue_id, priority, fairness_key,"
            " limits, due, n) select lane, queue_id, priority, fairness_key, limits, due, 1 from run) select"
            " id::text from run",
            *(queue, fairness_key, limits, due, queue, fairness_key, limits),
        )
    )


@pytest.mark.parametrize("outcome", ["done", "aside"])
def test_a_run_that_is_set_aside_leaves_the_active_ones(ledger: LedgerClient, outcome: str) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 5, null, null)")
    run = ledger.running(limits=["site:a"])
    if outcome == "aside":
        ledger.rows("alter table rowlock.done add check (state <> 'dead')")
    assert ledger.value("select rowlock.set_aside(%s, 'Indigestible', 'The run cannot be read.')", run)
    assert ledger.value("select count(*) from rowlock.active") == 0
    if outcome == "done":
        assert ledger.rows("select state, failure->>'class', failure->>'message' from rowlock.run") == [
            ("dead", "input", "The run cannot be read.")
        ]
    else:
        assert ledger.rows("select reason, message, run->>'id' from rowlock.aside") == [
            ("Indigestible", "The run cannot be read.", run)
        ]
    ledger.claim()
    assert ledger.value("select running from rowlock.bucket") == 0, "its place under the limit is free again"
    assert not ledger.value("select rowlock.set_aside(%s, 'Indigestible', 'again')", run)


def test_a_run_whose_effect_was_begun_is_set_aside_as_unknown(ledger: LedgerClient) -> None:
    run = ledger.running()
    assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token)
    ledger.value("select rowlock.set_aside(%s, 'Indigestible', 'x')", run)
    assert ledger.state(run) == "unknown"


def test_keys_of_limits_may_be_of_any_length(ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 1, null, null)")
    long = ledger.value("select string_agg(md5(i::text), '') from generate_series(1, 3000) i")
    odd = [f"site:{long}", f"site:{long}!", long, "site:", ":", "site:" + "é" * 5000]
    runs = {put(ledger, limits=[name]) for name in odd for _ in range(2)} | {put(ledger)}
    first = set(ledger.claim())
    assert len(first) == 9, (
        "one of each key of the limit, both of the two names that are no limit's, and the free one"
    )
    assert len(runs - first) == 4


HEALTHY = 20


def others(ledger: LedgerClient) -> set[str]:
    """Runs of another queue and of this one that have nothing to do with the odd one."""
    other = ledger.value("insert into rowlock.queue(name) values ('default/other') returning id")
    return {
        put(ledger, queue_id=other if i % 2 else None, fairness_key=f"k{i % 5}", limits=[f"site:{i % 3}"])
        for i in range(HEALTHY)
    }


def all_claimed(ledger: LedgerClient, rounds: int = 6) -> set[str]:
    return {
        row[0]
        for _ in range(rounds)
        for row in ledger.rows(
            "select r.id::text from rowlock.round_v1((select array_agg(id) from rowlock.queue), array[100,"
            " 100]) r where r.id is not null"
        )
    }


def test_a_null_among_the_limits_ends_its_own_run_and_no_other(ledger: LedgerClient) -> None:
    healthy = others(ledger)
    odd = [
        put(ledger, limits=[None]),
        put(ledger, limits=["site:1", None]),
        put(ledger, limits=[None, "new:1"]),
    ]
    assert all_claimed(ledger, 1) == healthy
    for run in odd:
        assert ledger.rows(
            "select state, failure->>'class', failure->>'reason' from rowlock.run where id = %s", run
        ) == [("dead", "input", "RunRefused")]
        assert "null value" in ledger.field(run, "failure->>'message'")
    assert ledger.value("select count(*) from rowlock.inbox") == 0
    assert all_claimed(ledger, 2) == set()


def test_a_server_that_cannot_serve_sets_nothing_aside(database: str, ledger: LedgerClient) -> None:
    run = put(ledger)
    ledger.rows(
        "create function rowlock.full() returns trigger language plpgsql as"
        " $$ begin raise exception 'no space left on device' using errcode = '53100'; end $$;"
        " create trigger full_disk before insert on rowlock.lane for each row execute function rowlock.full()"
    )
    with pytest.raises(Exception, match="no space left"):
        ledger.claim()
    ledger.rows("drop trigger full_disk on rowlock.lane")
    assert ledger.claim() == [run]


@pytest.mark.parametrize("due", ["infinity", "-infinity", "294276-12-31", "4700-01-01 BC", "20000-01-01"])
def test_an_absurd_due_stops_nobody(ledger: LedgerClient, due: str) -> None:
    odd = put(ledger, due=due)
    shared = put(ledger, due=due, fairness_key="k1", limits=["site:1"])
    healthy = others(ledger)
    ledger.rows("select rowlock.set_limit_v1('site', 1000, 1000, 1000)")
    past = due in ("-infinity", "4700-01-01 BC")
    assert all_claimed(ledger) == healthy | ({odd, shared} if past else set())
    assert ledger.value("select rowlock.relane_v1()") >= 0
    assert ledger.rows("select sum(waiting), bool_and(isfinite(oldest)) from rowlock.depth_v1()")[0][0] == (
        0 if past else 2
    )


def test_a_run_that_no_claim_can_take_is_set_aside_alone(ledger: LedgerClient) -> None:
    healthy = others(ledger)
    odd = put(ledger, fairness_key="k1", limits=["site:1"])
    ledger.rows("alter table rowlock.active add check (state = 'pending' or id <> %s)", odd)
    assert all_claimed(ledger, 2) == healthy
    assert ledger.rows("select state, failure->>'class' from rowlock.run where id = %s", odd) == [
        ("dead", "input")
    ]


def test_without_halving_one_such_run_stops_every_queue(ledger: LedgerClient) -> None:
    others(ledger)
    odd = put(ledger, fairness_key="k1", limits=["site:1"])
    ledger.rows("alter table rowlock.active add check (state = 'pending' or id <> %s)", odd)
    source = ledger.value("select pg_get_functiondef('rowlock.is_indigestible'::regproc)")
    ledger.rows(source.replace("select left", "select false and left"))
    with pytest.raises(Exception, match="violates check constraint"):
        all_claimed(ledger, 1)
    assert ledger.value("select count(*) from rowlock.active where claimed_at is not null") == 0


@pytest.mark.parametrize(
    "harm",
    [
        "update rowlock.lane set buckets = array[999999, -1]",
        "update rowlock.lane set buckets = array[null]::int[]",
        "delete from rowlock.bucket",
        "update rowlock.lane set at = 'infinity', floor = 'infinity'",
        "update rowlock.lane set blocked_by = 999999, at = 'infinity'",
        "update rowlock.lane set at = null, pending = -5",
        "delete from rowlock.lane",
        "update rowlock.bucket set tokens = 'nan', tokens_at = '-infinity', rate = 'nan', burst = 'infinity'",
        "update rowlock.bucket set rate = 1e-310, burst = 1000, tokens = 1000",
        "update rowlock.bucket set rate = 1e308, burst = 1e308, tokens_at = '-infinity', tokens = 1e308",
    ],
)
def test_lines_and_limits_that_were_spoilt_are_mended(ledger: LedgerClient, harm: str) -> None:
    healthy = others(ledger)
    all_claimed_nothing = ledger.rows("select * from rowlock.round_v1(array[]::int[], array[]::int[])")
    assert len(all_claimed_nothing) == 1, "events are taken in, nothing is handed out"
    ledger.rows(harm)
    taken = all_claimed(ledger, 2)
    ledger.value("select rowlock.relane_v1()")
    assert taken | all_claimed(ledger) == healthy


@pytest.mark.parametrize("duty", ["sweep", "slow sweep", "unqueue", "cancel"])
def test_a_duty_that_meets_a_run_which_cannot_be_given_back_sets_it_aside_and_goes_on(
    ledger: LedgerClient, duty: str
) -> None:
    bad, good = take(ledger, duty, "bad"), take(ledger, duty, "good")
    spoil(ledger)
    assert run_duty(ledger, duty, [bad, good]) == 2
    assert ledger.state(good) == ("canceled" if duty == "cancel" else "pending")
    told = ledger.rows(
        "select id::text from rowlock.aside where reason = 'RunRefused' union all"
        " select id::text from rowlock.done where state = 'dead' and failure->>'reason' = 'RunRefused'"
    )
    assert told == [(bad,)]
    assert ledger.value("select count(*) from rowlock.active where id = %s", bad) == 0


def test_budgets_that_cannot_be_read_concern_the_runs_of_their_own_queue(ledger: LedgerClient) -> None:
    """Whoever wrote them: the definition refuses them, the table does not."""
    other = ledger.value(
        'insert into rowlock.queue(name, retry) values (\'default/other\', \'{"infra": {"limit": "many"}}\')'
        " returning id"
    )
    bad, good = put(ledger, queue_id=other), ledger.running()
    ledger.rows("select * from rowlock.round_v1(array[%s], array[1])", other)
    assert ledger.start(bad)
    ledger.lapse()
    assert ledger.sweep() == 2
    assert (ledger.state(bad), ledger.field(bad, "failure->>'class'")) == ("dead", "input")
    assert ledger.state(good) == "pending"


def test_without_care_one_such_run_keeps_a_sweep_from_all_others(ledger: LedgerClient) -> None:
    take(ledger, "sweep", "bad"), take(ledger, "sweep", "good")
    spoil(ledger)
    ledger.lapse()
    with pytest.raises(psycopg2.errors.CheckViolation):
        ledger.rows("select rowlock.take_back(array[%s::bigint], 1000, false, false)", ledger.runner)
    assert ledger.value("select count(*) from rowlock.active where state = 'running'") == 2


def take(ledger: LedgerClient, duty: str, fairness_key: str) -> str:
    """A run in the state that the duty ends."""
    if duty.endswith("sweep"):
        return ledger.running(fairness_key=fairness_key)
    run = ledger.enqueue(fairness_key=fairness_key)
    assert duty == "cancel" or run in ledger.claim()
    return run


def spoil(ledger: LedgerClient) -> None:
    """From now on nothing can be told of runs with this key."""
    ledger.rows("alter table rowlock.inbox add check (fairness_key <> 'bad') not valid")


def run_duty(ledger: LedgerClient, duty: str, runs: list[str]) -> int:
    if duty.endswith("sweep"):
        ledger.lapse()
        return ledger.sweep(slow=duty.startswith("slow"))
    if duty == "unqueue":
        return int(ledger.value("select rowlock.unqueue_v1(%s::uuid[], array[1, 1])", runs))
    return int(ledger.value("select rowlock.cancel_v1(%s::uuid[])", runs))
