"""The fences that the operator holds for kube jobs: always for contract Exit, and where the pod of another
never came to hold them.
"""

import logging
from functools import partial
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import GiveUp

log = logging.getLogger("rowlock.dispatch")


async def start(dispatcher: DatabaseDispatcher, run_id: str, attempt: int, *, token: str) -> bool:
    """The start fence; false = the run is no longer this attempt's."""
    return await dispatcher.threads.run(
        dispatcher.ledger.start_for_kubernetes, run_id=run_id, attempt=attempt, token=token
    )


async def finish(
    dispatcher: DatabaseDispatcher,
    run_id: str,
    attempt: int,
    *,
    token: str,
    failed: dict[str, Any] | None = None,
    result: Any = None,
    canceled: str | None = None,
    start_first: bool = False,
) -> None:
    """The finish fence (behind the start fence, where the run was never seen running)."""
    if start_first:
        await start(dispatcher, run_id, attempt, token=token)
    outcome = "canceled" if canceled else "failed" if failed else "succeeded"
    failure = {"class": "app", "reason": canceled} if canceled else failed
    record = partial(dispatcher.ledger.finish, run_id=run_id, attempt=attempt, token=token, outcome=outcome)
    try:
        state = await dispatcher.threads.run(record, result=result, failure=failure)
    except GiveUp as error:
        if error.reason != reasons.ROW_REFUSED.name:
            raise  # a lock, a right: the next look repeats it
        # What it refuses is what somebody's program or Kubernetes said. That the attempt ended, and how, is
        # ours to record.
        log.warning("outcome_replaced", extra={"run": run_id, "attempt": attempt, "why": str(error)})
        note = "what it said cannot be stored in the ledger"
        failure = (
            None
            if failure is None
            else {"class": failure["class"], "reason": failure["reason"], "message": note}
        )
        state = await dispatcher.threads.run(
            record, result=None if result is None else {"message": note}, failure=failure
        )
    log.info(
        "kube_run_finished",
        extra={
            "run": run_id,
            "attempt": attempt,
            "state": state or "stale",
            "reason": (failure or {}).get("reason"),
        },
    )
