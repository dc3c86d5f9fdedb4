"""What one run is told."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.plan import AIMED, Blow, blows

# With a guard off: tasks that are still running when the aimed blow falls, and when what it lost is tried
# again.
FIRST_MILLIS = {
    "fence": [14_000] * 10 + [300] * 200,  # twice as many as workers: who is struck has a long one
    "sweeper": [3_000] * 10,
    "dedupe": [0] * 1000,
    "kubernetes": [3_000] * 9,
}
ONLY = {"kubernetes": "exports"}  # rows of one source


@dataclass(frozen=True)
class Options:
    """`rows` in all, `rate` of them a second; `guard_off`: one of GUARDS, with an aimed plan on a small
    stage.
    """

    seed: int
    rows: int = 2000
    rate: float = 40.0
    gap_seconds: float = 2.2  # between two blows, on average
    guard_off: str = ""
    slow_claim: bool = False  # claims take longer, so that two dispatchers meet over the same rows
    jobs: bool = True  # with operators, a control plane and kube jobs
    settle_seconds: float = 150.0  # from the last row until every run has ended
    # within which work that begins after a blow must be done, even while the blow lasts
    recover_seconds: float = 40.0
    # rows that wait at most: the flow pauses, so that the end of the rows is near the end of the runs
    backlog: int = 500
    progress_seconds: float = 5.0

    @property
    def guards(self) -> list[str]:
        """Files of guards/ that the stage applies."""
        return (["slow_claim"] if self.slow_claim else []) + ([self.guard_off] if self.guard_off else [])

    @property
    def only(self) -> str:
        """The source that all rows are of; empty for all of them."""
        return ONLY.get(self.guard_off, "")

    def plan(self) -> Iterator[Blow]:
        if self.guard_off:
            return iter(AIMED[self.guard_off])
        return blows(self.seed, jobs=self.jobs, gap_seconds=self.gap_seconds)

    def command(self) -> str:
        """What repeats this run."""
        words = ["python -m tests.chaos", f"--seed {self.seed}"]
        words.append(
            f"--guard-off {self.guard_off}"
            if self.guard_off
            else f"--runs {self.rows} --rate {self.rate:g} --gap {self.gap_seconds:g}"
        )
        return " ".join(words + ([] if self.jobs or self.guard_off else ["--without-kubernetes"]))


def plan_lines(options: Options, seconds: float) -> list[str]:
    """The blows of the first so many seconds."""
    return [str(blow) for blow in itertools.takewhile(lambda each: each.at < seconds, options.plan())]


# Guard -> (rows, of them a second, how long they may take to end, whether it is the operator's: else the
# ledger's)
GUARDS = {
    "fence": (60, 4.0, 5.0, False),
    "dedupe": (400, 60.0, 20.0, False),
    "sweeper": (150, 60.0, 8.0, False),
    "kubernetes": (9, 60.0, 40.0, True),
}


def guarded_off(guard: str, seed: int) -> Options:
    """A small and short run with one guard off."""
    rows, rate, settle, jobs = GUARDS[guard]
    return Options(
        seed,
        rows=rows,
        rate=rate,
        guard_off=guard,
        slow_claim=guard == "dedupe",
        jobs=jobs,
        settle_seconds=settle,
    )
