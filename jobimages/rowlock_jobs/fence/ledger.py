"""The ledger's worker functions, typed: one method a function, no policy."""

from collections.abc import Sequence
from typing import Any

from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.fence.values import (
    Cycle,
    FinishedRun,
    RunId,
    RunnerId,
    RunnerToken,
    RunRef,
    RunState,
    StartedRun,
)
from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_jobs.fence", "sql/ledger.sql", "sql/sessions.sql")
_HELLO = _SQL["hello"]
_RENEW = _SQL["renew"]
_GOODBYE = _SQL["goodbye"]
_START = _SQL["start"]
_FINISH = _SQL["finish"]
_CYCLE = _SQL["cycle"]
_HAND_BACK = _SQL["hand_back"]
_STATES = _SQL["states"]
_END_SESSIONS = _SQL["end_sessions"]
_CANCEL_STATEMENTS = _SQL["cancel_statements"]
_BEGIN_EFFECT = _SQL["begin_effect"]
_END_EFFECT = _SQL["end_effect"]


class Ledger:
    """Every method raises FenceAway where the answer was lost, FenceRefused where the values cannot be
    stored.
    """

    def __init__(self, connection: FenceConnection) -> None:
        self.connection = connection

    def hello(self, *, name: str, lease_seconds: float) -> RunnerId:
        """Takes a lease of so many seconds."""
        return RunnerId(self.connection.call(_HELLO, {"name": name, "lease_seconds": lease_seconds})[0][0])

    def renew(
        self, runner: RunnerId, *, lease_seconds: float, progress: tuple[RunId, str] | None = None
    ) -> tuple[bool, frozenset[RunId]]:
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

    def start(self, refs: Sequence[RunRef], *, runner: RunnerId, token: RunnerToken) -> list[StartedRun]:
        """The start fence: those that are ours to run."""
        return [
            _started(row)
            for row in self.connection.call(_START, {**_references(refs), "runner": runner, "token": token})
        ]

    def finish(self, finished: Sequence[FinishedRun], *, token: RunnerToken) -> dict[RunId, str]:
        """The finish fence: the runs' new states; one that is not there was stale, its outcome does not
        count.
        """
        return {
            RunId(run_id): str(state)
            for run_id, state in self.connection.call(_FINISH, finish_parameters(finished, token))
        }

    def cycle(
        self,
        finished: Sequence[FinishedRun],
        start: Sequence[RunRef],
        *,
        runner: RunnerId,
        token: RunnerToken,
    ) -> Cycle:
        """Finish of the previous runs and start of the next in one commit."""
        ends, starts = finish_parameters(finished, token), _references(start)
        parameters = {f"f_{name}": value for name, value in ends.items()} | {
            f"s_{name}": value for name, value in starts.items()
        }
        states: dict[RunId, str] = {}
        started: list[StartedRun] = []
        for kind, run_id, attempt, state, *rest in self.connection.call(
            _CYCLE, {**parameters, "runner": runner}
        ):
            if kind == "f":
                states[RunId(run_id)] = str(state)
            else:
                started.append(_started((run_id, attempt, *rest)))
        return Cycle(states, started)

    def hand_back(self, refs: Sequence[RunRef], *, token: RunnerToken) -> frozenset[RunId]:
        """Started runs that nobody has begun: queued again with the same attempt. Returns those that are."""
        return frozenset(
            RunId(row[0]) for row in self.connection.call(_HAND_BACK, {**_references(refs), "token": token})
        )

    def states(self, ids: Sequence[RunId]) -> dict[RunId, RunState]:
        """What the ledger says of these runs; one that is not there is not known to it."""
        rows = self.connection.call(_STATES, {"ids": list(ids)})
        return {RunId(run_id): RunState(attempt, state) for run_id, attempt, state in rows}

    def end_sessions(self, session_name: str) -> int:
        """Ends the sessions of that name which this login has; returns how many there were."""
        return int(self.connection.call(_END_SESSIONS, {"name": session_name})[0][0])

    def cancel_statements(self, session_name: str, *, running_seconds: float) -> int:
        """Cancels the statements in such sessions that have run for longer than so many seconds; returns how
        many there were.
        """
        parameters = {"name": session_name, "running_seconds": running_seconds}
        return int(self.connection.call(_CANCEL_STATEMENTS, parameters)[0][0])

    def begin_effect(self, ref: RunRef, *, token: RunnerToken, effect: str) -> bool:
        rows = self.connection.call(
            _BEGIN_EFFECT, {"id": ref.id, "attempt": ref.attempt, "token": token, "effect": effect}
        )
        return bool(rows[0][0])

    def end_effect(self, ref: RunRef, *, token: RunnerToken, result: str | None) -> bool:
        """`result` is JSON text."""
        rows = self.connection.call(
            _END_EFFECT, {"id": ref.id, "attempt": ref.attempt, "token": token, "result": result}
        )
        return bool(rows[0][0])


def finish_parameters(finished: Sequence[FinishedRun], token: RunnerToken) -> dict[str, Any]:
    """The parameters of sql/finish.sql."""
    outcomes = [each.outcome for each in finished]
    return {
        **_references([each.ref for each in finished]),
        "token": token,
        "outcomes": [outcome.kind for outcome in outcomes],
        "results": [outcome.result for outcome in outcomes],
        "failures": [outcome.failure for outcome in outcomes],
    }


def _references(refs: Sequence[RunRef]) -> dict[str, Any]:
    return {"ids": [ref.id for ref in refs], "attempts": [ref.attempt for ref in refs]}


def _started(row: Sequence[Any]) -> StartedRun:
    run_id, attempt, task, args, queue, source_key, tries = row
    return StartedRun(RunRef(RunId(run_id), attempt), task, args or "{}", queue, source_key, tries or 0)
