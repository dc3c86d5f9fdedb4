"""Notes for runners go with their runs: a renewal must not return an ever longer list."""

import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("outcome", ["succeeded", "canceled"])
def test_the_note_of_a_cancel_ends_with_its_run(ledger: LedgerClient, outcome: str) -> None:
    run = ledger.running()
    ledger.rows("select rowlock.cancel_v1(array[%s::uuid])", run)
    assert ledger.value("select count(*) from rowlock.cancel_note") == 1
    ledger.finish(run, outcome=outcome)
    assert ledger.value("select count(*) from rowlock.cancel_note") == 0
