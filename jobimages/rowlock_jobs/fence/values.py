"""What passes between the fences and the worker: values only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NewType

from rowlock_jobs.outcome import Outcome

RunId = NewType("RunId", str)
RunnerId = NewType("RunnerId", int)
RunnerToken = NewType("RunnerToken", str)


@dataclass(frozen=True, slots=True)
class RunRef:
    """One attempt of one run: what Redis carries, and what the fences are asked about."""

    id: RunId
    attempt: int

    @property
    def rq_id(self) -> str:
        return f"{self.id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class StartedRun:
    """What the start fence handed out. `args` is JSON text: the parent passes it on unread."""

    ref: RunRef
    task: str
    args: str
    queue: str
    source_key: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class RunState:
    """What the ledger says of a run."""

    attempt: int
    state: str


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """An attempt and what became of it."""

    ref: RunRef
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Cycle:
    """The answer to one cycle: the finished runs' new states (not there = stale), the started runs (not there
    = refused).
    """

    finished: Mapping[RunId, str]
    started: Sequence[StartedRun]


# As the ledger writes it and in no other way: two writings of one attempt would be two ids in Redis and one
# run here.
_RQ_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]{0,8})")


def parse_rq_id(text: str) -> RunRef | None:
    """`<run id>-<attempt>` as a RunRef; None where it is something else (an id some other program pushed)."""
    found = _RQ_ID.fullmatch(text)
    return RunRef(RunId(found[1]), int(found[2])) if found else None
