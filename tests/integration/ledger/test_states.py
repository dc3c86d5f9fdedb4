"""docs/states.md is read and every edge in it is driven through the real ledger."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration

TABLE = (Path(__file__).parents[3] / "docs/states.md").read_text()
EDGES = re.findall(r"^\| (-|\w+) \| (\w+) \| [^|]+ \| `(\w+)` \|", TABLE, re.MULTILINE)


def reach(ledger: LedgerClient, state: str) -> str:
    """A run in this state."""
    if state in ("queued", "launching"):
        ledger.rows("update rowlock.queue set mode = %s", "Workers" if state == "queued" else "Jobs")
    run = ledger.enqueue()
    if state == "pending":
        return run
    ledger.claim()
    if state in ("queued", "launching"):
        return run
    assert ledger.start(run)
    if state == "dead":
        ledger.finish(run, outcome="failed", failure={"class": "input"})
    elif state in ("unknown", "canceled"):
        ledger.finish(run, outcome=state)
    assert ledger.state(run) == state
    return run


def finish(ledger: LedgerClient, run: str, to: str) -> None:
    if to == "pending":
        ledger.finish(run, outcome="failed", failure={"class": "app"})
    elif to == "dead":
        ledger.finish(run, outcome="failed", failure={"class": "app", "permanent": True})
    elif to == "unknown":
        assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token)
        ledger.finish(run, outcome="failed", failure={"class": "app"})
    else:
        ledger.finish(run, outcome=to)


def sweep(ledger: LedgerClient, run: str, to: str) -> None:
    if to == "dead":
        ledger.rows('update rowlock.queue set retry = \'{"infra": {"limit": 0}}\'')
    elif to == "unknown":
        assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token)
    elif to == "canceled":
        ledger.rows("select rowlock.cancel_v1(array[%s::uuid])", run)
    ledger.lapse()
    assert ledger.sweep() == 1


ACTIONS: dict[str, Callable[[LedgerClient, str, str], object]] = {
    "round_v1": lambda ledger, run, to: ledger.claim(),
    "start_v1": lambda ledger, run, to: ledger.start(run),
    "finish_v1": finish,
    "sweep_v1": sweep,
    "hand_back_v1": lambda ledger, run, to: ledger.rows(
        "select rowlock.hand_back_v1(array[%s::uuid], array[1], %s)", run, ledger.token
    ),
    "unqueue_v1": lambda ledger, run, to: ledger.rows(
        "select rowlock.unqueue_v1(array[%s::uuid], array[1])", run
    ),
    "postpone_v1": lambda ledger, run, to: ledger.rows("select rowlock.postpone_v1(%s, 1, '{}')", run),
    "pass_over_v1": lambda ledger, run, to: ledger.rows(
        "select rowlock.pass_over_v1(array[%s::uuid], array[1], 30)", run
    ),
    "cancel_v1": lambda ledger, run, to: ledger.rows("select rowlock.cancel_v1(array[%s::uuid])", run),
    "requeue_v1": lambda ledger, run, to: ledger.rows("select rowlock.requeue_v1(array[%s::uuid])", run),
}


@pytest.mark.parametrize(
    ("source", "target", "function"), EDGES, ids=[f"{a} to {b} by {f}" for a, b, f in EDGES]
)
def test_every_edge_of_the_table_is_what_the_ledger_does(
    ledger: LedgerClient, source: str, target: str, function: str
) -> None:
    if source == "-":
        assert ledger.state(ledger.enqueue()) == target
        return
    run = reach(ledger, source)
    if target == "launching":
        ledger.rows("update rowlock.queue set mode = 'Jobs'")
    ACTIONS[function](ledger, run, target)
    assert ledger.state(run) == target


def test_the_table_names_exactly_the_states_the_database_accepts(ledger: LedgerClient) -> None:
    checks = ledger.rows(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid in ('rowlock.active'::regclass,"
        " 'rowlock.done'::regclass) and contype = 'c'"
    )
    accepted = {state for (text,) in checks if "state" in text for state in re.findall(r"'(\w+)'", text)}
    assert {state for edge in EDGES for state in edge[:2]} - {"-"} == accepted


@pytest.mark.parametrize("state", ["pending", "dead", "unknown", "canceled"])
def test_only_claimed_runs_can_be_started(ledger: LedgerClient, state: str) -> None:
    run = reach(ledger, state)
    assert not ledger.start(run)
    assert ledger.state(run) == state
