"""What RQ's records say of an attempt that the start fence did not hand out. Pure."""

from rowlock_jobs.fence.values import RunRef, RunState

UNEXPLAINED = "Refused by the ledger, which could not be asked why"
_NEEDS_A_PERSON = ("dead", "unknown", "canceled")


def refusal_note(ref: RunRef, found: RunState | None) -> str:
    """A sentence for whoever looks in RQ, such as after `rq requeue`.

    Empty where nothing is amiss: this very attempt has succeeded, or another worker has it.
    """
    if found is None:
        return f"Refused: the ledger knows no run {ref.id}"
    if found.state in _NEEDS_A_PERSON:
        again = f"`rowlock requeue {ref.id}` runs it again, RQ cannot"
        return f"Refused: the run is {found.state} in the ledger; {again}"
    if found.attempt != ref.attempt:
        now = f"the run is {found.state} in the ledger, at attempt {found.attempt}"
        return f"Refused: attempt {ref.attempt} is over; {now}"
    return ""
