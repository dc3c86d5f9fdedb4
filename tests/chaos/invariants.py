"""What must hold, whatever was struck. Pure: traces and facts in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.chaos.facts import Ended, Facts
from tests.chaos.tasklog import Line
from tests.chaos.workload import LIMITS, WITH_STATUS, WITHOUT_FENCE, Limit

EXAMPLES = 3  # of each violation


@dataclass(frozen=True)
class Violation:
    """`what` is one of the names that WORDS explains."""

    what: str
    detail: str


WORDS = {
    "row_lost": "a row that was inserted has no ended run",
    "row_run_twice": "a row became more than one run",
    "attempt_begun_twice": "an attempt of a run began in two places",
    "stale_finish": "an outcome counts that is not of the attempt, or of the process, that the ledger names",
    "writes_of_another_attempt": (
        "what was written in run.transaction() is not that of the attempts whose outcome counts"
    ),
    "effect_twice": "an effect after begin_effect happened more than once, or its run was tried again",
    "wrong_end": "a run ended in a state that nothing in its task explains",
    "row_not_told": "the row's status column does not say what became of its run",
    "limit_exceeded": "more ran at once, or started in a time, than a limit allows",
    "left_over": "something is left when everything has ended",
    "left_in_hand": "a run has not ended",
    "not_recovered": "work after a blow did not go on in time",
}


def check(lines: list[Line], facts: Facts) -> list[Violation]:
    """Every violation."""
    return [
        *_rows(facts),
        *_attempts(lines, facts),
        *_outcomes(lines, facts),
        *_writes(facts),
        *_effects(lines, facts),
        *_limits(lines, facts),
        *(Violation("left_over", f"{name}: {n}") for name, n in facts.rests.items()),
        *(Violation("left_in_hand", line) for line in facts.left),
    ]


def few(found: Iterable[Violation]) -> list[Violation]:
    """At most EXAMPLES of each kind, the last of them saying how many more there are."""
    kinds: dict[str, list[Violation]] = defaultdict(list)
    for violation in found:
        kinds[violation.what].append(violation)
    shown = []
    for what, all_of_it in kinds.items():
        shown += all_of_it[:EXAMPLES]
        if len(all_of_it) > EXAMPLES:
            shown.append(Violation(what, f"and {len(all_of_it) - EXAMPLES} more"))
    return shown


def _rows(facts: Facts) -> Iterator[Violation]:
    """Nothing is lost, nothing runs twice, and the user's table says how it ended."""
    ended: dict[tuple[str, int], list[Ended]] = defaultdict(list)
    for run in facts.ended:
        ended[run.source, int(run.row.partition("#")[0])].append(run)
    for place, (status, _) in facts.rows.items():
        runs = ended.get(place, [])
        if not runs:
            yield Violation("row_lost", f"{place[0]} {place[1]} has status {status!r} and no ended run")
        elif len(runs) > 1:
            yield Violation(
                "row_run_twice", f"{place[0]} {place[1]} was run as {', '.join(run.run for run in runs)}"
            )
        elif place[0] in WITH_STATUS and status != ("done" if runs[0].state == "succeeded" else "error"):
            yield Violation(
                "row_not_told", f"{place[0]} {place[1]} has status {status!r}, its run is {runs[0].state}"
            )
        for run in runs:
            if run.state != "succeeded" and not (run.state == "unknown" and facts.kinds[place] == "effect"):
                yield Violation(
                    "wrong_end",
                    f"run {run.run} of {place[0]} {place[1]} ({facts.kinds[place]}) is {run.state}",
                )


def _attempts(lines: list[Line], facts: Facts) -> Iterator[Violation]:
    """What the API server has forgotten (an older etcd) Kubernetes starts again, and under contract Exit no
    fence refuses it.
    """
    begun: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in lines:
        if line.what == "begin":
            begun[line.run, line.attempt].append(line)
    for (run, attempt), begins in begun.items():
        remembered = [
            line for line in begins if not (line.source in WITHOUT_FENCE and facts.forgets(line.at))
        ]
        if len(remembered) > 1:
            pids = [line.pid for line in begins]
            yield Violation(
                "attempt_begun_twice",
                f"run {run} attempt {attempt} began {len(begins)} times, in processes {pids}",
            )


def _outcomes(lines: list[Line], facts: Facts) -> Iterator[Violation]:
    ended = {(line.run, line.attempt, line.pid) for line in lines if line.what == "end"}
    attempts = {(run, attempt) for run, attempt, _ in ended}
    for run in facts.ended:
        if run.state != "succeeded":
            continue
        by = run.result.get("attempt")
        if run.source in WITHOUT_FENCE and not run.result:  # its last words went with its pod
            if (run.run, run.attempt) not in attempts:
                yield Violation(
                    "stale_finish",
                    f"run {run.run} attempt {run.attempt} counts, and nothing of it came to its end",
                )
        elif by != run.attempt:
            yield Violation(
                "stale_finish",
                f"run {run.run} ended as attempt {run.attempt}, with the outcome of attempt {by}",
            )
        elif (run.run, run.attempt, run.result.get("pid")) not in ended:
            yield Violation(
                "stale_finish",
                f"run {run.run} attempt {run.attempt}: process {run.result.get('pid')} did not end it",
            )


def _writes(facts: Facts) -> Iterator[Violation]:
    due = Counter(
        (run.run, run.attempt)
        for run in facts.ended
        if run.state == "succeeded"
        and facts.kinds.get((run.source, int(run.row.partition("#")[0]))) == "transaction"
    )
    there = Counter(facts.receipts)
    for run, attempt in there - due:
        yield Violation(
            "writes_of_another_attempt", f"run {run} attempt {attempt} wrote, and its outcome does not count"
        )
    for run, attempt in due - there:
        yield Violation(
            "writes_of_another_attempt", f"run {run} attempt {attempt} counts, and its writes are not there"
        )


def _effects(lines: list[Line], facts: Facts) -> Iterator[Violation]:
    acted: dict[str, Line] = {}
    for line in sorted(lines, key=lambda each: each.at):
        if line.what == "effect":
            if line.run in acted:
                yield Violation(
                    "effect_twice",
                    f"run {line.run} acted in attempts {acted[line.run].attempt} and {line.attempt}",
                )
            acted.setdefault(line.run, line)
        elif line.what == "begin" and line.run in acted and line.attempt > acted[line.run].attempt:
            yield Violation(
                "effect_twice",
                f"run {line.run} began attempt {line.attempt} after its effect in attempt"
                f" {acted[line.run].attempt}",
            )


def _limits(lines: list[Line], facts: Facts) -> Iterator[Violation]:
    """Only attempts whose outcome counts are compared: each of them held its place from before its first line
    until after its last.

    An attempt that was given up may go on beside its successor, for as long as its process does not notice (a
    frozen one: until it wakes): that is not promised. A start takes its token when it is claimed and may
    begin later, but never more of them than may be in hand at once: the bound of the rate.
    """
    counts = {run.run: run.attempt for run in facts.ended if run.state == "succeeded"}
    spans: dict[tuple[str, int], list[float]] = defaultdict(list)
    of: dict[tuple[str, int], Line] = {}
    for line in lines:
        if counts.get(line.run) == line.attempt and line.what in ("begin", "end"):
            spans[line.run, line.attempt].append(line.at)
            of[line.run, line.attempt] = line
    for limit in LIMITS:
        groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for attempt, times in spans.items():
            if of[attempt].source == limit.source:
                groups[of[attempt].customer if limit.per_customer else ""].append((min(times), max(times)))
        for who, group in groups.items():
            most = most_at_once(group)
            if most > limit.concurrency:
                yield Violation(
                    "limit_exceeded",
                    f"{most} of {limit.source} {who} at once, {limit.concurrency} are allowed",
                )
            yield from _rate(limit, who, [begin for begin, _ in group])


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many spans overlap at the busiest moment; one that ends where another begins does not overlap with
    it.
    """
    changes = sorted(
        [(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans], key=lambda change: change
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def most_beyond_rate(begins: list[float], rate: float) -> float:
    """The largest number of starts in any stretch of time beyond what `rate` brings in it."""
    lowest = most = 0.0
    for number, at in enumerate(sorted(begins)):
        lead = number - rate * at
        lowest = lead if number == 0 else min(lowest, lead)
        most = max(most, lead - lowest + 1)
    return most


def _rate(limit: Limit, who: str, begins: list[float]) -> Iterator[Violation]:
    if limit.rate is None:
        return
    allowed = limit.burst + limit.concurrency
    beyond = most_beyond_rate(begins, limit.rate)
    if beyond > allowed:
        yield Violation(
            "limit_exceeded",
            f"{limit.source} {who}: {beyond:.1f} starts beyond {limit.rate:g} a second, {allowed} are"
            " allowed",
        )
