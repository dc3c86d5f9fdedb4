"""What a clean session costs: a task that writes in run.transaction(), with the cleaning between two runs and
without it, in turns.

One worker process, the whole way from rows to recorded outcomes. Without the cleaning the next run meets
whatever the last one left.
"""

import statistics

from tests.bench.end_to_end import rowlock
from tests.bench.frame import Bench, Target
from tests.bench.peer_session import LEFT_DIRTY, TASK

NAME = "clean_session"
KEYS = {
    "clean_session_cost_percent": Target(
        "rows to outcomes of a task that writes in run.transaction(): what a clean session takes of its rate",
        "%",
        "lower",
        3,
    ),
    "session_runs_per_s_1": Target("the same task: its rate with one worker process", "runs/s", "higher"),
    "dirty_session_runs_per_s_1": Target("the same with nothing cleaned", "runs/s", "higher"),
}
PAIRS = 8


def measure(bench: Bench) -> dict[str, float]:
    """The median over pairs of the share that cleaning takes; every second pair begins with the other one."""
    count = 40 if bench.quick else 2_000
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(1 if bench.quick else PAIRS):
        for dirty in (True, False) if number % 2 else (False, True):
            rates[dirty].append(_rate(bench, count, dirty=dirty))
    shares = [(1 - clean / dirty) * 100 for clean, dirty in zip(rates[False], rates[True], strict=True)]
    return {
        "clean_session_cost_percent": statistics.median(shares),
        "session_runs_per_s_1": statistics.median(rates[False]),
        "dirty_session_runs_per_s_1": statistics.median(rates[True]),
    }


def _rate(bench: Bench, count: int, *, dirty: bool) -> float:
    more = {LEFT_DIRTY.lower(): "1"} if dirty else {}
    return rowlock(bench, count, 1, task=TASK, imports="tests.bench.peer_session", **more)
