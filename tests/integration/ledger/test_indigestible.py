"""What the ledger cannot digest stands alone: it is set aside with a reason, and everything else goes on."""

from typing import Any

import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration


def put(
    ledger: LedgerClient, *, limits: list[Any] | None = None, due: str = "now", queue_id: int | None = None, fairness_key: str = ""
) -> str:
    """A run as it may stand in the tables, whatever the functions for callers refuse."""
    queue = queue_id or ledger.queue_id
    return str(
        ledger.value(
            "with run as (insert into rowlock.active(id, lane, due, queue_id, fairness_key, limits, task, args)"
            " values (rowlock.new_id(), rowlock.lane_of(%s, 0::smallint, %s, %s), %s, %s, %s, %s, 't', '{}') returning *),"
            " event as (insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)"
            " select lane, queue_id, priority, fairness_key, limits, due, 1 from run) select id::text from run",
            *(queue, fairness_key, limits, due, queue, fairness_key, limits),
        )
    )


@pytest.mark.parametrize("outcome", ["done", "aside"])
def test_a_run_that_is_set_aside_leaves_the_active_ones(ledger: LedgerClient, outcome: str) -> None:
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
        assert ledger.rows("select reason, message, run->>'id' from rowlock.aside") == [("Indigestible", "The run cannot be read.", run)]
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
    assert len(first) == 9, "one of each key of the limit, both of the two names that are no limit's, and the free one"
    assert len(runs - first) == 4
