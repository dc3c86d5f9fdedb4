"""One chaos run: rows flow, blows fall, the dust settles, the checks speak."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg2
import redis

from tests.chaos import workload
from tests.chaos.facts import OVER_LIMIT, Facts, gather, rests
from tests.chaos.figures import Figures, away_seconds, figures_of, recovery_seconds, served
from tests.chaos.invariants import Violation, check, few
from tests.chaos.options import FIRST_MILLIS, Options
from tests.chaos.plan import Blow
from tests.chaos.stage import Stage
from tests.chaos.striking import Striker, Struck
from tests.chaos.tasklog import Line

PATIENCE_SECONDS = 3.0  # a blow waits so long for a victim
DATABASE_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)


@dataclass
class Result:
    options: Options
    violations: list[Violation]
    struck: list[Struck]
    figures: Figures
    restarts: dict[str, int] = field(default_factory=dict)
    ended_by_itself: dict[str, list[int]] = field(default_factory=dict)
    attempts: int = 0
    states: dict[str, int] = field(default_factory=dict)


class Chaos:
    """`say` gets the lines of progress."""

    def __init__(self, options: Options, stage: Stage, say: Callable[[str], None] = print) -> None:
        self._options, self._stage, self._say = options, stage, say
        self._striker = Striker(stage)
        self._batches = workload.rows(
            options.seed,
            jobs=options.jobs,
            first_millis=FIRST_MILLIS.get(options.guard_off, []),
            only=options.only,
        )
        self._batch: list[workload.Row] = []
        self._inserted = self._ended = 0
        self._over_limit: list[Violation] = []
        self._next_say = self._next_look = 0.0
        self._began = 0.0
        self._aimed_at: float | None = None

    def run(self) -> Result:
        self._began = time.monotonic()
        self._flow()
        self._striker.finish()
        self._settle()
        facts = self._facts()
        lines = self._stage.log.read()
        violations = few([*check(lines, facts), *self._over_limit, *self._not_recovered(lines, facts)])
        members = [*self._stage.members, *([self._stage.second_leader] if self._stage.second_leader else [])]
        return Result(
            self._options,
            violations,
            self._striker.struck,
            figures_of(lines, facts, self._striker.struck, seconds=time.monotonic() - self._began),
            restarts={each.name: each.lives - 1 for each in members if each.lives > 1},
            ended_by_itself={each.name: each.ended_by_itself for each in members if each.ended_by_itself},
            attempts=sum(line.what == "begin" for line in lines),
            states=dict(Counter(run.state for run in facts.ended)),
        )

    # -- while the rows flow
    # ----------------------------------------------------------------------------------------

    def _flow(self) -> None:
        plan = self._options.plan()
        blow = next(plan, None)
        next_batch = 0.0
        last = self._options.rows
        while self._inserted < last or (blow is not None and self._options.guard_off):
            now = self._seconds()
            since = now - self._plan_began()
            if (
                blow is not None
                and since >= blow.at
                and self._strike(blow, last_try=since > blow.at + PATIENCE_SECONDS)
            ):
                blow = next(plan, None)
            if (
                now >= next_batch
                and self._inserted < last
                and self._inserted - self._ended < self._options.backlog
            ):
                next_batch = max(next_batch + len(self._insert()) / self._options.rate, now - 1.0)
            self._tend()
        while self._striker_busy():
            self._tend()

    def _plan_began(self) -> float:
        """When the plan's time begins: with the rows, and an aimed plan with the first attempt: its target
        must be there, however long a loaded machine needs for it.
        """
        if self._options.guard_off and self._aimed_at is None:
            begun = self._stage.log.read()
            self._aimed_at = self._seconds() if begun else None
            return self._seconds() if self._aimed_at is None else self._aimed_at
        return self._aimed_at or 0.0

    def _strike(self, blow: Blow, *, last_try: bool) -> bool:
        """False where there is nobody to hit now and it is worth waiting for somebody."""
        struck = self._striker.strike(blow)
        if struck is None and not last_try:
            return False
        self._say(f"{blow} -> {struck.victim if struck else 'nobody there'}")
        return True

    def _striker_busy(self) -> bool:
        """With a guard off, the aimed blows must come to their own end: a zombie has to come back."""
        return bool(self._options.guard_off) and self._striker.lasting

    def _insert(self) -> list[workload.Row]:
        """The next batch; the same one again where PostgreSQL was away."""
        self._batch = self._batch or next(self._batches)
        batch = self._batch[: self._options.rows - self._inserted]
        try:
            for source in {row.source for row in batch}:
                values = [
                    (row.id, row.customer, row.kind, row.millis) for row in batch if row.source == source
                ]
                ids, customers, kinds, millis = (list(column) for column in zip(*values, strict=True))
                self._stage.sql(
                    f"insert into {source}(id, customer, kind, millis)"
                    " select * from unnest(%s::bigint[], %s::text[], %s::text[], %s::int[])"
                    " on conflict do nothing",
                    ids, customers, kinds, millis,
                )  # fmt: skip
        except DATABASE_AWAY:
            return []
        self._inserted += len(batch)
        self._batch = []
        return batch

    def _tend(self) -> None:
        self._striker.tend()
        for member in self._stage.members:
            member.tend()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + 0.5
            self._look()
        if now >= self._next_say:
            self._next_say = now + self._options.progress_seconds
            self._say(
                f"{self._seconds():7.1f} s  {self._inserted} of {self._options.rows} rows, {self._ended} runs"
                f" ended, {len(self._striker.struck)} blows"
            )
        time.sleep(0.02)

    def _look(self) -> None:
        try:
            self._ended = int(self._stage.sql("select count(*) from rowlock.done")[0][0])
            for bucket, n, allowed in self._stage.sql(OVER_LIMIT):
                self._over_limit.append(
                    Violation(
                        "limit_exceeded",
                        f"{n} runs of {bucket} in hand at {self._seconds():.1f} s, {allowed} are allowed",
                    )
                )
        except DATABASE_AWAY:
            pass

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    # -- afterwards
    # -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Until every run has ended and was told; then the workers leave in order, and nothing may be
        left.
        """
        self._wait(self._all_ended, self._options.settle_seconds)
        for member in self._stage.of("worker"):
            if self._options.guard_off:
                member.close()  # what they hold may never end
            else:
                member.terminate()
        self._wait(lambda: not any(member.alive for member in self._stage.of("worker")), 40)
        self._wait(lambda: not rests(self._stage), 5 if self._options.guard_off else 45)

    def _all_ended(self) -> bool:
        waiting = "select (select count(*) from rowlock.active) + (select count(*) from rowlock.outbox)"
        return self._ended >= self._inserted and self._stage.sql(waiting) == [(0,)]

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Tends the crew meanwhile; a condition that never comes true is for the checks to tell."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if condition():
                    return
            except (*DATABASE_AWAY, redis.RedisError):
                pass
            self._tend()

    def _facts(self) -> Facts:
        facts = gather(self._stage)
        facts.rests = rests(self._stage)
        return facts

    def _not_recovered(self, lines: list[Line], facts: Facts) -> Iterator[Violation]:
        """Work that begins after a blow ends in time. Judged where rows went on flowing that long."""
        spans = served(lines)
        last = max((inserted for _, inserted in facts.rows.values()), default=0.0)
        struck_all = self._striker.struck
        for struck in [] if self._options.guard_off else struck_all:
            took, bound = recovery_seconds(spans, struck.at), self._options.recover_seconds
            bound += away_seconds(struck_all, struck.at, struck.at + bound)
            if last - struck.at > bound and (took is None or took > bound):
                after = "never" if took is None else f"{took:.1f} s later"
                yield Violation(
                    "not_recovered",
                    f"{struck.blow}: what began after it ended {after}, {bound:g} s are allowed",
                )
