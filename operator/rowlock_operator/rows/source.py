"""One registered source: taking pending rows, telling them apart from vanished ones, writing outcomes back."""

from dataclasses import dataclass
from typing import Any

from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.source_table import Inspection, SourcePlan, compiled
from rowlock_operator.rows.statements import statements

_SQL = statements("source")


@dataclass
class Window:
    """What waits in the ledger of this source, by fairness key."""

    waiting: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.waiting.values())


def poll(pool: Pool, sources: list["Source"]) -> set[int]:
    """Ids of the sources that have a pending row, in one statement for all of them (0.1 ms a source, against 1 ms for a claim that takes nothing).

    Raises GiveUp where one of the tables cannot be asked: then each is looked at alone."""
    with pool.transaction("looking for pending rows") as cursor:
        looks = [cursor.mogrify(source.look, {"source": source.source_id}) for source in sources]
        cursor.execute(b" union all ".join(looks))
        return {source_id for (source_id,) in cursor.fetchall()}


class Source:
    """Statements of one RowSource, compiled once. Not for several threads at a time."""

    def __init__(self, pool: Pool, plan: SourcePlan, inspection: Inspection, *, source_id: int, queue_id: int) -> None:
        self.pool, self.plan, self.inspection = pool, plan, inspection
        self.source_id, self.queue_id = source_id, queue_id
        self.cursor: str | None = None
        self.look = compiled("look", plan, cursor_used=False)
        self._claim = compiled("claim", plan, inspection=inspection)
        self._count = compiled("count_pending", plan, cursor_used=False)
        self._gone = compiled("gone_keys", plan, inspection=inspection)
        self._write_back = compiled("write_back", plan, inspection=inspection) if plan.status_column else None

    @property
    def _cursor_allowed(self) -> bool:
        """The cursor needs keys that are taken in ascending order, and nothing but the ledger that remembers."""
        return not self.plan.status_column and self.plan.order_by in ((), ((self.plan.key, False),)) and not self.plan.turn_column

    def claim(self, n: int, saturated: list[str], *, whole: bool = False) -> int:
        """Moves up to n rows into the ledger; returns how many became runs. `whole`: without the cursor, so that late commits are found."""
        parameters = {
            "source": self.source_id,
            "queue": self.queue_id,
            "priority": self.plan.priority,
            "task": self.plan.task,
            "n": n,
            "saturated": saturated,
            "write_back": self.plan.status_column is not None,
            "claimed": self.plan.claimed,
            "cursor": None if whole or not self._cursor_allowed else self.cursor,
        }
        taken, last = self.pool.rows(f"taking rows of source {self.plan.name}", self._claim, parameters)[0]  # type: ignore[arg-type]
        if last is not None and self._cursor_allowed and not whole:
            self.cursor = last
        return int(taken)

    def window(self) -> Window:
        rows = self.pool.rows(f"looking at what source {self.plan.name} has in the ledger", _SQL["window"], {"source": self.source_id})
        return Window(dict(rows))

    def count_pending(self, cap: int) -> int:
        """Rows still in the user's table, counted up to `cap`."""
        rows = self.pool.rows(f"counting rows of source {self.plan.name}", self._count, {"cap": cap, "source": self.source_id})  # type: ignore[arg-type]
        return int(rows[0][0])

    def vanished(self, n: int) -> list[str]:
        """Runs not yet started whose row is no longer in the table."""
        with self.pool.transaction(f"looking for vanished rows of source {self.plan.name}") as cursor:
            cursor.execute(_SQL["waiting_keys"], {"source": self.source_id, "n": n})
            runs: dict[str, str] = {key: run_id for run_id, key in cursor.fetchall()}
            if not runs:
                return []
            cursor.execute(self._gone, {"keys": list(runs)})
            return [runs[key] for (key,) in cursor.fetchall()]

    def write_back(self) -> int:
        """Outcomes into the user's status column, and out of the outbox, in one transaction; returns how many were taken."""
        if self._write_back is None:
            return 0
        with self.pool.transaction(f"writing outcomes back to source {self.plan.name}") as cursor:
            cursor.execute(_SQL["outbox_take"], {"source": self.source_id})
            rows: list[tuple[int, str, str, str | None]] = sorted(cursor.fetchall())
            if rows:
                last: dict[str, tuple[str, str | None]] = {key: (state, error) for _, key, state, error in rows}
                values = self.plan.status_values
                parameters: dict[str, Any] = {
                    "keys": list(last),
                    "values": [values[state] for state, _ in last.values()],
                    "errors": [error for _, error in last.values()],
                    "ours": sorted(set(values.values())),
                }
                cursor.execute(self._write_back, parameters)
            return len(rows)
