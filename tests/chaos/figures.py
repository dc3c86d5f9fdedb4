"""Figures of a run: how many, how fast, how long until all went on after a blow. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.facts import Facts
from tests.chaos.striking import Struck
from tests.chaos.tasklog import Line
from tests.chaos.workload import AS_JOBS


@dataclass
class Figures:
    """Seconds throughout."""

    seconds: float
    rows: int
    runs_by_source: dict[str, int]
    begin_p50: float  # from a row's insert to the first line of its task, sources without a limit
    begin_p99: float
    begin_max: float
    given_up: int  # attempts that another one followed, or that left no end
    again_p50: float  # from the first line of an attempt that was given up to the first line of the next
    again_max: float
    recovery: dict[str, tuple[int, float, float]] = field(
        default_factory=dict
    )  # kind of blow -> (blows, p50, max) until work that began later was done


def figures_of(lines: list[Line], facts: Facts, struck: list[Struck], *, seconds: float) -> Figures:
    first: dict[tuple[str, int], float] = {}
    attempts: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in lines:
        if line.what == "begin":
            place = (line.source, line.row)
            first[place] = min(line.at, first.get(place, line.at))
            attempts[line.run].append((line.attempt, line.at))
    failed = {(line.run, line.attempt) for line in lines if line.what == "fail"}
    waits = sorted(
        at - facts.rows[place][1]
        for place, at in first.items()
        if place[0] == "events" and place in facts.rows
    )
    again = sorted(
        later - earlier
        for run, begun in attempts.items()
        for (number, earlier), (_, later) in zip(sorted(begun), sorted(begun)[1:], strict=False)
        if (run, number) not in failed
    )
    spans = served(lines)
    took: dict[str, list[float]] = defaultdict(list)
    for each in struck:
        seconds_after = recovery_seconds(spans, each.at)
        if seconds_after is not None:
            took[each.blow.kind].append(seconds_after)
    by_source: dict[str, int] = defaultdict(int)
    for run in facts.ended:
        by_source[run.source] += 1
    return Figures(
        seconds=seconds,
        rows=len(facts.rows),
        runs_by_source=dict(by_source),
        begin_p50=quantile(waits, 0.5),
        begin_p99=quantile(waits, 0.99),
        begin_max=quantile(waits, 1.0),
        given_up=len(again),
        again_p50=quantile(again, 0.5),
        again_max=quantile(again, 1.0),
        recovery={
            kind: (len(all_of_it), quantile(all_of_it, 0.5), max(all_of_it))
            for kind, all_of_it in sorted(took.items())
        },
    )


def served(lines: list[Line]) -> list[tuple[float, float]]:
    """Begin and end of every attempt of a warm worker that came to its end, by its begin."""
    begun = {
        (line.run, line.attempt, line.pid): line.at
        for line in lines
        if line.what == "begin" and line.source not in AS_JOBS
    }
    ends = [(line.run, line.attempt, line.pid, line.at) for line in lines if line.what == "end"]
    return sorted(
        (begun[run, attempt, pid], at) for run, attempt, pid, at in ends if (run, attempt, pid) in begun
    )


def recovery_seconds(spans: list[tuple[float, float]], at: float) -> float | None:
    """From `at` until the first end of something that began after it. Rows do not serve for this: the flow
    pauses behind a backlog.
    """
    ends = [end for _, end in spans[bisect_left(spans, (at, at)) :]]
    return min(ends) - at if ends else None


def away_seconds(struck: list[Struck], since: float, until: float) -> float:
    """How long a store was stopped from `since` on, up to `until`, which moves on by as much: nothing can end
    while it is away.
    """
    away = 0.0
    for each in sorted(struck, key=lambda one: one.at):
        begin, end = max(each.at, since), each.at + each.blow.seconds
        if each.blow.kind.startswith("stop_") and since < end and begin < until + away:
            away += end - begin
    return away


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies; 0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
