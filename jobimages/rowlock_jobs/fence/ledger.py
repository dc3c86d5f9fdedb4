"""The ledger's worker functions, typed: one method a function, no policy."""

from collections.abc import Sequence
from typing import Any

from rowlock_jobs.fence.connection import FenceConnection, load_statement
from rowlock_jobs.fence.values import Cycle, FinishedRun, RunId, RunnerId, RunnerToken, RunRef, StartedRun

_HELLO = load_statement("hello")
_RENEW = load_statement("renew")
_GOODBYE = load_statement("goodbye")
_START = load_statement("start")
_FINISH = load_statement("finish")
_CYCLE = load_statement("cycle")
_BEGIN_EFFECT = load_statement("begin_effect")
_END_EFFECT = load_statement("end_effect")


class Ledger:
    """Every method raises FenceAway where the answer was lost, FenceRefused where the values cannot be stored."""

    def __init__(self, connection: FenceConnection) -> None:
        self.connection = connection

    def hello(self, *, name: str, lease_seconds: float) -> RunnerId:
        """Takes a lease of so many seconds."""
        return RunnerId(self.connection.call(_HELLO, {"name": name, "lease_seconds": lease_seconds})[0][0])

    def renew(self, runner: RunnerId, *, lease_seconds: float, progress: tuple[RunId, str] | None = None) -> tuple[bool, frozenset[RunId]]:
        """(still alive, runs that were asked to end). Stores the progress (JSON text) of the run we hold."""
        parameters = {
            "runner": runner,
            "lease_seconds": lease_seconds,
            "ids": [progress[0]] if progress else [],
            "progress": [progress[1]] if progress else [],
        }
        alive, cancel = self.connection.call(_RENEW, parameters)[0]
        return bool(alive), frozenset(RunId(run_id) for run_id in cancel or ())

    def goodbye(self, runner: RunnerId) -> None:
        self.connection.call(_GOODBYE, {"runner": runner})

    def start(self, ref: RunRef, *, runner: RunnerId, token: RunnerToken) -> StartedRun | None:
        """The start fence; None = not ours to run."""
        rows = self.connection.call(_START, {"ids": [ref.id], "attempts": [ref.attempt], "runner": runner, "token": token})
        return _started(rows[0]) if rows else None

    def finish(self, finished: FinishedRun, *, token: RunnerToken) -> str | None:
        """The finish fence: the run's new state; None = stale, the outcome does not count."""
        rows = self.connection.call(_FINISH, finish_parameters(finished, token))
        return str(rows[0][0]) if rows else None

    def cycle(self, finished: FinishedRun | None, start: RunRef | None, *, runner: RunnerId, token: RunnerToken) -> Cycle:
        """Finish of the previous run and start of the next in one commit."""
        outcome = finished.outcome if finished else None
        rows = self.connection.call(
            _CYCLE,
            {
                "f_ids": [finished.ref.id] if finished else [],
                "f_attempts": [finished.ref.attempt] if finished else [],
                "f_outcomes": [outcome.kind] if outcome else [],
                "f_results": [outcome.result] if outcome else [],
                "f_failures": [outcome.failure] if outcome else [],
                "token": token,
                "s_ids": [start.id] if start else [],
                "s_attempts": [start.attempt] if start else [],
                "runner": runner,
            },
        )
        state, started = None, None
        for kind, run_id, attempt, row_state, *rest in rows:
            if kind == "f":
                state = str(row_state)
            else:
                started = _started((run_id, attempt, *rest))
        return Cycle(state, started)

    def begin_effect(self, ref: RunRef, *, token: RunnerToken, effect: str) -> bool:
        rows = self.connection.call(_BEGIN_EFFECT, {"id": ref.id, "attempt": ref.attempt, "token": token, "effect": effect})
        return bool(rows[0][0])

    def end_effect(self, ref: RunRef, *, token: RunnerToken, result: str | None) -> bool:
        """`result` is JSON text."""
        rows = self.connection.call(_END_EFFECT, {"id": ref.id, "attempt": ref.attempt, "token": token, "result": result})
        return bool(rows[0][0])


def finish_parameters(finished: FinishedRun, token: RunnerToken) -> dict[str, Any]:
    """The parameters of sql/finish.sql."""
    outcome = finished.outcome
    return {
        "ids": [finished.ref.id],
        "attempts": [finished.ref.attempt],
        "token": token,
        "outcomes": [outcome.kind],
        "results": [outcome.result],
        "failures": [outcome.failure],
    }


def _started(row: Sequence[Any]) -> StartedRun:
    run_id, attempt, task, args, queue, source_key, tries = row
    return StartedRun(RunRef(RunId(run_id), attempt), task, args or "{}", queue, source_key, tries or 0)
