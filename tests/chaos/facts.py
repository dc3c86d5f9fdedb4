"""What the stores say when the dust has settled: values for the checks."""

from dataclasses import dataclass, field
from typing import Any

from tests.chaos import workload
from tests.chaos.stage import Stage

# What must be nothing in the end -> how it is counted.
RESTS = {
    "runs in hand": "select count(*) from rowlock.active",
    "events not folded": "select count(*) from rowlock.inbox",
    "outcomes not told": "select count(*) from rowlock.outbox",
    "runners": "select count(*) from rowlock.runner where id > 0",
    "notes of a cancel": "select count(*) from rowlock.cancel_note",
    "slots of limits taken": "select coalesce(sum(abs(running)), 0)::int from rowlock.bucket",
    "runs that lanes wait for": "select coalesce(sum(abs(pending)), 0)::int from rowlock.lane",
    "transactions left open": (
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in"
        " transaction%' and clock_timestamp() - state_change > interval '15 s'"
    ),
}
# Claimed runs of a limit, beyond what it allows.
OVER_LIMIT = """
select b, count(*), r.max_running
  from rowlock.active a, unnest(a.limits) b join rowlock.limit_rule r on r.name = split_part(b, ':', 1)
 where a.claimed_at is not null group by b, r.max_running having count(*) > r.max_running
"""
# A run that is still there, in words: what a reader of "row_lost" asks first.
LEFT = """
select format('run %s of %s %s is %s, attempt %s, due in %s s, %s interruptions, last failure %s;'
              ' its lane is looked at in %s s, blocked by %s, pending %s, floor %s',
              a.id, s.name, a.source_key, a.state, a.attempt,
              extract(epoch from a.due - clock_timestamp())::int, a.interruptions, a.failure,
              extract(epoch from l.at - clock_timestamp())::int, b.name, l.pending, l.floor)
  from rowlock.active a left join rowlock.source s on s.id = a.source_id
  left join rowlock.lane l on l.id = a.lane
  left join rowlock.bucket b on b.id = l.blocked_by order by a.id limit 5
"""


@dataclass(frozen=True)
class Ended:
    """One run as the ledger's history has it; times are Unix seconds."""

    run: str
    attempt: int
    state: str
    source: str
    row: str
    result: dict[str, Any]
    created: float
    finished: float


@dataclass
class Facts:
    ended: list[Ended] = field(default_factory=list)
    # (source, id) -> status, inserted at
    rows: dict[tuple[str, int], tuple[str, float]] = field(default_factory=dict)
    kinds: dict[tuple[str, int], str] = field(default_factory=dict)
    receipts: list[tuple[str, int]] = field(default_factory=list)
    rests: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # the runs among the rests, in words
    # what the API server has lost: from a snapshot to its restore
    forgotten: list[tuple[float, float]] = field(default_factory=list)

    def forgets(self, at: float) -> bool:
        """Whether the API server no longer knows what was made at this moment (Unix seconds)."""
        return any(since <= at <= until for since, until in self.forgotten)


def rests(stage: Stage) -> dict[str, int]:
    """What is left over, by name; only what is not nothing."""
    counts = {name: int(stage.sql(statement)[0][0]) for name, statement in RESTS.items()}
    counts["ids in Redis"] = sum(map(len, stage.waiting_ids().values()))
    counts["kube jobs"] = stage.kube_jobs()
    return {name: n for name, n in counts.items() if n}


def gather(stage: Stage) -> Facts:
    """Everything but the rests. The database must be up."""
    facts = Facts(forgotten=list(stage.forgotten))
    for run, attempt, state, source, row, result, created, finished in stage.sql(
        "select d.id::text, d.attempt, d.state, split_part(s.name, '/', 2), d.source_key, d.result,"
        " extract(epoch from d.created_at)::float8, extract(epoch from d.finished_at)::float8 from"
        " rowlock.done d join rowlock.source s on s.id = d.source_id"
    ):
        facts.ended.append(Ended(run, attempt, state, source, row, result or {}, created, finished))
    for source in workload.SOURCES:
        for row, status, kind, inserted in stage.sql(
            f"select id, status, kind, extract(epoch from created_at)::float8 from {source}"
        ):
            facts.rows[source, row] = (status, inserted)
            facts.kinds[source, row] = kind
    facts.left = [line for (line,) in stage.sql(LEFT)]
    facts.receipts = stage.sql("select run::text, attempt from receipt")
    return facts
