"""The ledger of one database, as the duties call it. Values in, values out; every call is one transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_ledger.statements import load_statements
from rowlock_operator.rows.pool import Pool

_SQL = load_statements("rowlock_operator.rows", "sql/ledger_calls.sql")


@dataclass(frozen=True)
class Claimed:
    """A run that the claimer handed out."""

    queue_id: int
    run_id: str
    attempt: int

    @property
    def rq_job_id(self) -> str:
        return f"{self.run_id}-{self.attempt}"


@dataclass(frozen=True)
class Round:
    """What one round gave; `leader` is false where another claimer holds the database."""

    claimed: list[Claimed]
    floor: str
    leader: bool


@dataclass(frozen=True)
class Depth:
    """One queue. `waiting` counts blocked ones too; `oldest_seconds` is how long the oldest run waits that is
    due and has not started, or None.
    """

    queue_id: int
    queue: str
    waiting: int
    ready: int
    blocked: int
    queued: int
    launching: int
    running: int
    oldest_seconds: float | None


@dataclass(frozen=True)
class StaleClaim:
    run_id: str
    attempt: int
    queue_id: int
    state: str
    claimed_at: str  # as PostgreSQL writes it, to go on from there


@dataclass(frozen=True)
class KubeRun:
    """A run of a Jobs queue that has not ended. `token` is the kube job's uid once it runs under contract
    Exit. `queue_gone`: its WorkQueue was deleted, or is one of mode Workers by now. `repeat`: its attempt
    before did not start.
    """

    run_id: str
    attempt: int
    queue_id: int
    state: str
    cancel: str | None
    token: str | None
    claimed_seconds: float
    runner: int | None
    queue_gone: bool
    repeat: bool = False


@dataclass(frozen=True)
class Launchable:
    run_id: str
    attempt: int
    task: str
    args: dict[str, Any]
    source_key: str | None
    waited_seconds: float
    repeat: bool = False
    """Its attempt before did not start."""


@dataclass(frozen=True)
class Holder:
    """A session that others wait for. What this login may not see of it is None; pid 0 is a prepared
    transaction.
    """

    pid: int
    user: str | None
    application: str | None
    address: str | None
    transaction_seconds: float | None
    state: str | None
    connected_at: str | None
    transaction_at: str | None
    what: str

    @property
    def hidden(self) -> bool:
        """Whether this login may see nothing but who it is."""
        return self.connected_at is None

    @property
    def named(self) -> str:
        return f"process {self.pid} (" if self.pid else "a prepared transaction"

    @property
    def described(self) -> str:
        """Who it is, in words that do not change with every look."""
        if not self.pid:
            return self.named
        facts = [f"user {self.user or 'unknown'}", f"application {self.application or 'unnamed'}"]
        if self.hidden:
            return f"{self.named}{', '.join(facts)}; a login with pg_read_all_stats sees more)"
        facts += [f"from {self.address or 'a local socket'}", f"connected since {self.connected_at} UTC"]
        facts += [f"in a transaction since {self.transaction_at} UTC"] if self.transaction_at else []
        facts += [self.state] if self.state else []
        return f"{self.named}{', '.join(facts)})"


@dataclass(frozen=True)
class Ended:
    """Runs of one queue that ended in one state; seconds from being made to starting, of first attempts."""

    queue: str
    state: str
    count: int
    start_seconds: list[float]


@dataclass(frozen=True)
class LeftOver:
    """A source with something left in the ledger; `spec` is what its last registration stored."""

    source_id: int
    name: str
    queue_id: int
    spec: dict[str, Any]
    retired: bool
    """Its RowSource was deleted, or names another table now."""


@dataclass(frozen=True)
class Interrupted:
    """Runs of one queue that the platform kept from starting, or ended, three times in a row or more: how
    many, one of them, and why.
    """

    count: int
    run: str
    why: str


@dataclass(frozen=True)
class Unwritten:
    """Outcomes of one source that its table has not got yet: whether one is due, how many are held, and why
    one of them is.
    """

    due: bool
    held: int
    why: str | None


@dataclass(frozen=True)
class EndedRuns:
    """Of one source, within the history: succeeded, dead or unknown, and those whose row was left alone."""

    done: int = 0
    failed: int = 0
    left_alone: int = 0


class Ledger:
    """Raises RetryLater where the database is away, GiveUp where repeating does not help."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def _rows(self, name: str, /, **parameters: object) -> list[tuple[Any, ...]]:
        return self.pool.rows(name.replace("_", " "), _SQL[name], parameters)

    def _records(self, name: str, /, **parameters: object) -> list[dict[str, Any]]:
        return self.pool.records(name.replace("_", " "), _SQL[name], parameters)

    def _value(self, name: str, /, **parameters: object) -> Any:
        rows = self._rows(name, **parameters)
        return rows[0][0] if rows else None

    def upsert_queue(
        self,
        *,
        name: str,
        mode: str,
        retry: dict[str, Any],
        suspended: bool,
        succeeded_seconds: int,
        dead_seconds: int,
        tasks: Sequence[str] = (),
    ) -> int:
        """Registers a work queue and returns its id. Without `tasks` enqueue_v1 takes any name."""
        return int(
            self._value(
                "upsert_queue",
                name=name,
                mode=mode,
                retry=json.dumps(retry),
                suspended=suspended,
                succeeded_seconds=succeeded_seconds,
                dead_seconds=dead_seconds,
                tasks=sorted(tasks) or None,
            )
        )

    def delete_queue(self, name: str) -> None:
        """Its WorkQueue is gone; a later upsert brings it back."""
        self._rows("delete_queue", name=name)

    def queue_names(self) -> list[str]:
        """Queues whose WorkQueue should exist."""
        return [name for (name,) in self._rows("queue_names")]

    def register_source(
        self, *, name: str, queue_id: int, relation: str, key: str, spec: dict[str, Any]
    ) -> int:
        """Registers a source and returns the id of its generation: the same for the same name, table and key
        column.
        """
        return int(
            self._value(
                "register_source",
                name=name,
                queue_id=queue_id,
                relation=relation,
                key=key,
                spec=json.dumps(spec),
            )
        )

    def retire_source(self, name: str) -> None:
        """Its RowSource is gone: the name means no source any more."""
        self._rows("retire_source", name=name)

    def source_trouble(self, source_id: int, trouble: str | None) -> None:
        """Why outcomes of a source that nobody feeds cannot be written, for whoever asks the ledger alone."""
        self._rows("source_trouble", id=source_id, trouble=trouble)

    def source_marks(self, source_id: int, marks: str) -> None:
        """What an audit of the source's table found, for whoever asks the ledger alone."""
        self._rows("source_marks", id=source_id, marks=marks)

    def marks_mended(self, audited: list[int], marked: list[int]) -> None:
        """Of these audited sources only the marked ones have something to tell."""
        self._rows("marks_mended", audited=audited, marked=marked)

    def settled(self, left: list[int]) -> None:
        """No source but these has such a trouble (any more)."""
        self._rows("trouble_is_over", left=left)

    def source_names(self) -> list[str]:
        """Sources whose RowSource should exist."""
        return [name for (name,) in self._rows("source_names")]

    def left_over(self, served: list[int]) -> list[LeftOver]:
        """Sources beside the `served` ones that have runs, or outcomes to write."""
        return [LeftOver(**row) for row in self._records("left_over", served=served)]

    def abandon(self, source_id: int, n: int) -> None:
        """Ends what waits of a source that is gone with its table: up to n runs, and up to n outcomes."""
        self._rows("abandon", source=source_id, n=n)

    def unfinished(self) -> bool:
        """Whether runs run or outcomes wait to be written."""
        return bool(self._value("unfinished"))

    def set_limit(
        self, *, name: str, max_running: int | None, rate: float | None, burst: float | None
    ) -> None:
        self._rows("set_limit", name=name, max_running=max_running, rate=rate, burst=burst)

    def drop_limits(self, prefix: str, *, keep: list[str]) -> int:
        """Removes the limits whose names begin so, but for those to keep: what waited for them flows. Returns
        how many.
        """
        return int(self._value("drop_limits", prefix=prefix, keep=keep))

    def round(self, wanted: dict[int, int], floor: str) -> Round:
        """One round of the claimer: up to `wanted[queue_id]` runs of each queue."""
        rows = self._rows("round", queues=list(wanted), ns=list(wanted.values()), floor=floor)
        claimed = [
            Claimed(queue_id, run_id, attempt) for queue_id, run_id, attempt, _ in rows if run_id is not None
        ]
        return Round(claimed, rows[-1][3] if rows else floor, bool(rows))

    def stirs(self, floor: str) -> bool:
        """Whether a round could find anything: a fraction of what a round over thousands of queues costs."""
        return bool(self._value("stirs", floor=floor))

    def relane(self) -> int:
        return int(self._value("relane"))

    def sweep(self, *, slow: bool) -> int:
        """Runs taken back from lapsed runners; `slow` also finds starts that raced with a sweep."""
        return int(self._value("sweep", slow=slow))

    def tell_end(self, *, queue: str, host: str, container: str, failure: dict[str, Any]) -> int:
        """Why whatever ran at `host` ended there: a container, or ('') the pod as a whole. Returns how many
        lost runs it explains.
        """
        return int(
            self._value("tell_end", queue=queue, host=host, container=container, failure=json.dumps(failure))
        )

    def depths(self, queue_id: int | None = None) -> list[Depth]:
        """Of all queues that have runs, or of one."""
        rows = self._rows("depth", queue=queue_id)
        return [
            Depth(
                queue_id,
                name,
                int(waits),
                int(ready),
                int(blocked),
                int(queued),
                int(launching),
                int(running),
                _seconds(oldest),
            )
            for queue_id, name, waits, ready, blocked, queued, launching, running, oldest in rows
        ]

    def claimed_counts(self) -> dict[int, tuple[int, int]]:
        """queue id -> (queued, launching or running)."""
        return {queue_id: (queued, rest) for queue_id, queued, rest in self._rows("claimed_counts")}

    def stale_claims(self, *, seconds: float, after: StaleClaim | None, n: int) -> list[StaleClaim]:
        """A page of claims that have not started for so long, the oldest first, behind `after`."""
        at, id_ = (after.claimed_at, after.run_id) if after else (None, None)
        return [
            StaleClaim(**row) for row in self._records("stale_claims", seconds=seconds, at=at, id=id_, n=n)
        ]

    def misfits(self, *, launching: bool) -> int:
        """Claims that nobody serves, for their WorkQueue is gone or of the other mode by now, go back to
        pending; how many.
        """
        return int(self._value("misfits", launching=launching))

    def rehome(self) -> int:
        """Runs whose WorkQueue is gone go over to the one that their RowSource names now; how many."""
        return int(self._value("rehome"))

    def unqueue(self, claims: list[tuple[str, int]]) -> int:
        """Claims that never started go back to pending, same attempt."""
        if not claims:
            return 0
        return int(self._value("unqueue", ids=[c[0] for c in claims], attempts=[c[1] for c in claims]))

    def postpone(
        self,
        *,
        run_id: str,
        attempt: int,
        failure: dict[str, Any],
        first_seconds: float | None = None,
        longest_seconds: float = 900,
    ) -> str | None:
        """The run of an attempt that never started waits again, without a try: by the backoff of class infra,
        or longer: `first_seconds` (how long it held its place), twice as long each time, `longest_seconds` at
        most. Its new state; None where the attempt has started, or is stale.
        """
        rows = self._rows(
            "postpone",
            id=run_id,
            attempt=attempt,
            failure=json.dumps(failure),
            first=first_seconds,
            longest=longest_seconds,
        )
        return str(rows[0][0]) if rows else None

    def pass_over(self, claims: list[tuple[str, int]], *, seconds: float) -> int:
        """Claims without a kube job wait so many seconds more, same attempt."""
        return int(
            self._value(
                "pass_over", ids=[c[0] for c in claims], attempts=[c[1] for c in claims], seconds=seconds
            )
        )

    def cancel(self, ids: list[str], reason: str) -> int:
        return int(self._value("cancel", ids=ids, reason=reason)) if ids else 0

    def start_for_kubernetes(self, *, run_id: str, attempt: int, token: str) -> bool:
        """The start fence for a kube job of contract Exit; false = the run is no longer this job's."""
        return bool(self._rows("start_for_kubernetes", id=run_id, attempt=attempt, token=token))

    def finish(
        self,
        *,
        run_id: str,
        attempt: int,
        token: str,
        outcome: str,
        result: object,
        failure: dict[str, Any] | None,
    ) -> str | None:
        """The finish fence; returns the run's new state, None where the attempt was stale."""
        rows = self._rows(
            "finish",
            id=run_id,
            attempt=attempt,
            token=token,
            outcome=outcome,
            result=None if result is None else json.dumps(result),
            failure=None if failure is None else json.dumps(failure),
        )
        return str(rows[0][1]) if rows else None

    def launchable(self, ids: list[str]) -> list[Launchable]:
        rows = self._rows("launchable", ids=ids) if ids else []
        return [
            Launchable(run_id, attempt, task, args, key, float(waited), repeat)
            for run_id, attempt, task, args, key, waited, repeat in rows
        ]

    def jobs_in_hand(self) -> list[KubeRun]:
        rows = self._rows("jobs_in_hand")
        return [
            KubeRun(run_id, attempt, queue_id, state, cancel, token, float(age), runner, deleted, repeat)
            for run_id, attempt, queue_id, state, cancel, token, age, runner, deleted, repeat in rows
        ]

    def ended_counts(self) -> dict[int, EndedRuns]:
        """By source id."""
        return {row.pop("source_id"): EndedRuns(**row) for row in self._records("ended_counts")}

    def ended_since(self, since: datetime) -> tuple[list[Ended], datetime]:
        """What ended since then, and the instant to ask from next time."""
        rows = self._rows("ended_since", since=since)
        return [
            Ended(queue, state, n, list(seconds)) for queue, state, n, seconds, _ in rows if queue is not None
        ], rows[0][4]

    def source_figures(self) -> dict[int, tuple[int, int, int]]:
        """source id -> (waiting in the ledger, running, waiting behind a limit)."""
        return {
            source_id: (waiting, running, throttled)
            for source_id, waiting, running, throttled in self._rows("source_figures")
        }

    def outbox_sources(self) -> dict[int, Unwritten]:
        """By id, the sources with outcomes to write back."""
        return {row.pop("source_id"): Unwritten(**row) for row in self._records("outbox_sources")}

    def queue_failures(self) -> dict[int, int]:
        return dict(self._rows("queue_failures"))

    def interrupted(self) -> dict[int, Interrupted]:
        """By queue id."""
        return {row.pop("queue_id"): Interrupted(**row) for row in self._records("interrupted")}

    def holders(self) -> list[Holder]:
        """Who holds the claimer's lock, or what our sessions have waited for for some seconds."""
        return [Holder(**row) for row in self._records("holders")]

    def tell_troubles(self, operator: str, troubles: list[tuple[str, str, str, float]]) -> None:
        """All troubles of this operator's duties now: (duty, reason, message, seconds it has lasted)."""
        duties, names, messages, seconds = ([each[i] for each in troubles] for i in range(4))
        self._rows(
            "tell_troubles",
            operator=operator,
            duties=duties,
            reasons=names,
            messages=messages,
            seconds=seconds,
        )

    def partitions(self) -> int:
        """Makes the history's missing partitions, those that nobody's lock forbids at this moment; returns
        how many.
        """
        return int(self._value("partitions"))

    def days_ahead(self) -> int:
        """For how many days after today the history has a place; -1: not even for today."""
        return int(self._value("days_ahead"))

    def table_holders(self) -> list[Holder]:
        """Who holds any lock on the ledger's tables, or the one under which it is migrated."""
        return [Holder(**row) for row in self._records("table_holders")]

    def aside(self) -> int:
        """Runs that could not even be ended, at most 1,000."""
        return int(self._value("aside"))

    def retain(self) -> int:
        return int(self._value("retain"))

    def forget(self) -> int:
        return int(self._value("forget"))

    def dead_rows(self) -> dict[str, int]:
        return dict(self._rows("dead_rows"))

    def vacuum(self, table: str) -> None:
        """VACUUM of one of the ledger's tables, in a connection of its own (it cannot run in a
        transaction).
        """
        self.pool.vacuum(table)

    def ping(self) -> None:
        self._rows("ping")


def _seconds(value: object) -> float | None:
    return None if value is None else float(str(value))
