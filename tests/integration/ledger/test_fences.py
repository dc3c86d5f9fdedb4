"""At most one start an attempt, one accepted outcome, and what happens with the guards off."""

import threading
import uuid

import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration


def start_from_many_threads(url: str, runs: list[str]) -> int:
    """Everybody tries to start every run; returns how many starts were granted."""
    granted: list[str] = []
    barrier = threading.Barrier(4)

    def race() -> None:
        client = LedgerClient(url)
        barrier.wait()
        for run in runs:
            if client.start(run):
                granted.append(run)
        client.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(granted)


def test_an_attempt_starts_once_however_many_try(database: str, ledger: LedgerClient) -> None:
    runs = [ledger.enqueue() for _ in range(50)]
    ledger.claim()
    assert start_from_many_threads(database, runs) == 50


def test_without_the_state_guard_attempts_start_twice(database: str, ledger: LedgerClient) -> None:
    source = ledger.value("select pg_get_functiondef('rowlock.start_v1'::regproc)")
    guard = "and r.state in ('queued', 'launching')"
    assert guard in source
    ledger.rows(source.replace(guard, ""))
    runs = [ledger.enqueue() for _ in range(50)]
    ledger.claim()
    assert start_from_many_threads(database, runs) > 50


def test_a_stale_finish_is_refused_when_the_run_was_taken_over(database: str, ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.lapse()
    ledger.sweep()
    ledger.make_due()
    other = LedgerClient(database)
    assert other.claim() == [run]
    assert other.start(run, attempt=2)
    assert ledger.finish(run, attempt=1) is None
    assert ledger.finish(run, attempt=2) is None, "another runner's token"
    assert other.finish(run, attempt=2) == "succeeded"
    assert other.finish(run, attempt=2) is None, "an outcome is written once"
    assert ledger.value("select count(*) from rowlock.done") == 1
    other.close()


def test_a_dead_runner_can_start_nothing_and_is_told_so(ledger: LedgerClient) -> None:
    run = ledger.enqueue()
    ledger.claim()
    ledger.lapse()
    ledger.sweep()
    assert not ledger.start(run)
    assert ledger.rows("select alive from rowlock.renew_v1(%s)", ledger.runner) == [(False,)]


def test_a_start_that_raced_with_a_sweep_is_found_by_the_slow_sweep(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.rows("delete from rowlock.runner where id = %s", ledger.runner)
    assert ledger.sweep() == 0
    assert ledger.sweep(slow=True) == 1
    assert ledger.state(run) == "pending"


def test_a_begun_effect_is_never_repeated(ledger: LedgerClient) -> None:
    run = ledger.running()
    assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post comment')", run, ledger.token)
    ledger.lapse()
    ledger.sweep()
    assert ledger.state(run) == "unknown"
    assert ledger.field(run, "failure->>'effect'") == "post comment"


def test_a_begun_effect_of_a_run_that_is_being_canceled_is_unknown_when_its_runner_is_lost(
    ledger: LedgerClient,
) -> None:
    run = ledger.running()
    assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post comment')", run, ledger.token)
    ledger.value("select rowlock.cancel_v1(array[%s]::uuid[])", run)
    ledger.lapse()
    ledger.sweep()
    assert ledger.state(run) == "unknown", "canceled would say that nothing was posted"


def test_without_the_effect_mark_the_same_crash_repeats_it(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.lapse()
    ledger.sweep()
    assert ledger.state(run) == "pending"


def test_a_stale_runner_may_not_begin_an_effect(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.lapse()
    assert not ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token)


def test_losing_the_runner_leaves_the_tasks_own_budget_untouched(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.lapse()
    ledger.sweep()
    assert ledger.rows(
        "select infra_tries, app_tries, site_tries, attempt from rowlock.run where id = %s", run
    ) == [(1, 0, 0, 2)]
    assert ledger.field(run, "failure->>'reason'") == "RunnerLost"


@pytest.mark.parametrize(("failure_class", "tries"), [("app", 3), ("site", 5), ("infra", 5)])
def test_each_class_spends_its_own_budget_and_then_the_run_is_dead(
    ledger: LedgerClient, failure_class: str, tries: int
) -> None:
    run = ledger.running()
    for attempt in range(1, tries + 1):
        assert ledger.finish(run, attempt, outcome="failed", failure={"class": failure_class}) == "pending"
        ledger.make_due()
        assert ledger.claim() == [run]
        assert ledger.start(run, attempt + 1)
    assert (
        ledger.finish(run, tries + 1, outcome="failed", failure={"class": failure_class, "reason": "Boom"})
        == "dead"
    )
    assert ledger.field(run, "failure->>'reason'") == "Boom"


def test_a_failure_may_say_when_to_come_back(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.finish(run, outcome="failed", failure={"class": "site", "after_seconds": 120})
    assert (
        115
        < ledger.value(
            "select extract(epoch from due - clock_timestamp()) from rowlock.active where id = %s", run
        )
        < 121
    )


def test_a_key_is_active_once_and_free_again_after_its_end(ledger: LedgerClient) -> None:
    first = ledger.enqueue(key="order-1")
    assert ledger.enqueue(key="order-1") is None
    ledger.claim()
    ledger.start(first)
    ledger.finish(first)
    assert ledger.enqueue(key="order-1") is not None


def test_without_the_dedupe_a_key_runs_twice_at_once(ledger: LedgerClient) -> None:
    ledger.rows("drop index rowlock.active_source")
    ledger.rows("create unique index active_source on rowlock.active(source_id, source_key, id)")
    source = ledger.value("select pg_get_functiondef('rowlock.enqueue_v1'::regproc)")
    ledger.rows(source.replace("on conflict (source_id, source_key) do nothing", ""))
    assert ledger.enqueue(key="order-1") is not None
    assert ledger.enqueue(key="order-1") is not None


def test_a_requeue_leaves_a_key_alone_that_is_active_again(ledger: LedgerClient) -> None:
    run = ledger.running(key="order-1")
    ledger.finish(run, outcome="failed", failure={"class": "input"})
    again = ledger.enqueue(key="order-1")
    assert ledger.rows("select rowlock.requeue_v1(array[%s::uuid])", run) == []
    assert (ledger.state(run), ledger.state(again)) == ("dead", "pending")


def test_cancel_reaches_a_running_run_at_its_next_renewal(ledger: LedgerClient) -> None:
    run = ledger.running()
    assert ledger.value("select rowlock.cancel_v1(array[%s::uuid], 'UserAsked')", run) == 1
    alive, cancel = ledger.rows("select alive, cancel::text[] from rowlock.renew_v1(%s)", ledger.runner)[0]
    assert alive
    assert cancel == [run]
    assert not ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token), (
        "nothing is begun after a cancel"
    )
    assert ledger.finish(run, outcome="canceled") == "canceled"
    assert ledger.field(run, "failure->>'reason'") == "UserAsked"


def test_a_claim_of_an_uncommitted_enqueue_is_impossible_and_a_late_commit_is_found(
    database: str, ledger: LedgerClient
) -> None:
    slow = LedgerClient(database)
    slow.connection.autocommit = False
    late = slow.enqueue()
    early = ledger.enqueue()
    assert ledger.claim() == [early]
    slow.connection.commit()
    assert ledger.claim() == [late]
    slow.connection.close()


def test_limits_hold_and_counters_do_not_drift(ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 2, null, null)")
    runs = [ledger.enqueue(limits=["site:a"]) for _ in range(6)]
    for _ in range(3):
        taken = ledger.claim()
        assert len(taken) == 2
        assert ledger.claim() == []
        for run in taken:
            ledger.start(run)
            ledger.finish(run)
    assert all(ledger.state(run) == "succeeded" for run in runs)
    ledger.claim()
    assert ledger.rows("select running from rowlock.bucket") == [(0,)]


def test_a_release_counted_twice_breaks_the_limit(ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 2, null, null)")
    for _ in range(6):
        ledger.enqueue(limits=["site:a"])
    first = ledger.claim()
    ledger.start(first[0])
    ledger.finish(first[0])
    ledger.rows(
        "insert into rowlock.inbox select lane, queue_id, priority, fairness_key, limits, null, 0, 1 from"
        " rowlock.active where claimed_at is not null limit 1"
    )
    ledger.claim()
    assert ledger.value("select count(*) from rowlock.active where claimed_at is not null") > 2


def test_a_rate_limit_lets_the_burst_through_and_then_its_rate(ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', null, 0.001, 3)")
    for _ in range(10):
        ledger.enqueue(limits=["site:a"])
    assert len(ledger.claim()) == 3
    assert ledger.claim() == []


def test_higher_priority_goes_first(ledger: LedgerClient) -> None:
    low, high = ledger.enqueue(priority=0), ledger.enqueue(priority=5)
    order: list[str] = []
    while len(order) < 2:
        order += ledger.claim(1)
    assert order == [high, low]


def test_a_worker_role_may_call_the_fences_and_nothing_else(database: str, ledger: LedgerClient) -> None:
    ledger.rows("drop role if exists ledger_test_worker")
    ledger.rows("create role ledger_test_worker login in role rowlock_worker")
    run = ledger.enqueue()
    ledger.claim()
    worker = LedgerClient.__new__(LedgerClient)
    import psycopg2

    worker.connection = psycopg2.connect(database.replace("postgres@", "ledger_test_worker@"))
    worker.connection.autocommit = True
    worker.token = str(uuid.uuid4())
    worker.runner = worker.hello()
    assert worker.start(run)
    assert worker.finish(run) == "succeeded"
    unknown = str(uuid.uuid4())
    told = "select id::text, attempt, state from rowlock.states_v1(array[%s, %s]::uuid[])"
    assert worker.rows(told, run, unknown) == [(run, 1, "succeeded")]
    for forbidden in (
        "select * from rowlock.active",
        "select rowlock.sweep_v1()",
        "select rowlock.cancel_v1(array[]::uuid[])",
        "delete from rowlock.done",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            worker.rows(forbidden)
    worker.close()
    ledger.rows("drop role ledger_test_worker")


def test_an_unknown_queue_is_refused_with_the_known_names(ledger: LedgerClient) -> None:
    import psycopg2

    with pytest.raises(psycopg2.Error) as refused:
        ledger.rows("select rowlock.enqueue_v1('default/typo', 't')")
    assert "default/typo" in str(refused.value)
    assert "default/q" in str(refused.value.diag.message_hint)


def test_large_arguments_come_back_whole(ledger: LedgerClient) -> None:
    run = ledger.value(
        "select rowlock.enqueue_v1('default/q', 't', jsonb_build_object('text', (select"
        " string_agg(md5(i::text), '') from generate_series(1, 500) i)))::text"
    )
    ledger.claim()
    args = ledger.rows(
        "select args from rowlock.start_v1(array[%s::uuid], array[1], %s, %s::uuid)",
        run,
        ledger.runner,
        ledger.token,
    )[0][0]
    assert len(args["text"]) == 16000
    assert ledger.value("select count(*) from rowlock.active where args is null") == 1


def test_retention_forgets_what_is_past_its_history(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.finish(run)
    dead = ledger.running()
    ledger.finish(dead, outcome="failed", failure={"class": "input"})
    ledger.rows("update rowlock.queue set succeeded_seconds = 0")
    assert ledger.value("select rowlock.retain_v1()") == 1
    assert ledger.rows("select id::text from rowlock.run") == [(dead,)]
