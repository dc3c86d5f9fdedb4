"""What RQ is told of an attempt that the ledger did not hand out."""

import pytest

from rowlock_jobs.fence.values import RunId, RunRef, RunState
from rowlock_jobs.worker.refusal import refusal_note

REF = RunRef(RunId("01a206bb-b407-71d6-b3a6-17c46decc4ed"), 2)


@pytest.mark.parametrize("state", ["dead", "unknown", "canceled"])
@pytest.mark.parametrize("attempt", [2, 3])
def test_who_requeued_in_rq_is_told_the_command_that_does_it(state: str, attempt: int) -> None:
    note = refusal_note(REF, RunState(attempt, state))
    assert f"the run is {state}" in note
    assert f"`rowlock requeue {REF.id}`" in note


@pytest.mark.parametrize("state", ["pending", "queued", "launching", "running", "succeeded"])
def test_an_attempt_that_is_over_is_refused_with_the_one_that_counts(state: str) -> None:
    note = refusal_note(REF, RunState(4, state))
    assert note == f"Refused: attempt 2 is over; the run is {state} in the ledger, at attempt 4"


@pytest.mark.parametrize("state", ["running", "queued", "succeeded"])
def test_a_second_delivery_of_the_very_attempt_is_nothing_to_tell(state: str) -> None:
    assert refusal_note(REF, RunState(2, state)) == ""


def test_a_run_that_was_purged_is_refused() -> None:
    assert refusal_note(REF, None) == f"Refused: the ledger knows no run {REF.id}"
