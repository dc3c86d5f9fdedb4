"""Rows that carry a source's mark and that no run of the ledger belongs to, as an audit counted them."""

from dataclasses import dataclass
from typing import ClassVar

from rowlock_operator.api import reasons
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.rows.source_table import SourcePlan


@dataclass(frozen=True, slots=True)
class Marks:
    """How many there are (up to what an audit keeps), and the first keys."""

    SHOWN: ClassVar[int] = 20

    count: int = 0
    keys: tuple[str, ...] = ()

    def trouble(self, plan: SourcePlan) -> Trouble:
        """What it means, with the statement that sets the rows back."""
        return trouble(
            reasons.MARKS_WITHOUT_RUN,
            count=self.count,
            table=f"{_name(plan.schema)}.{_name(plan.table)}",
            key_column=plan.key,
            key=self.keys[0],
            column=plan.status_column,
            claimed=plan.claimed,
            statement=self._statement(plan),
        )

    def sentence(self, plan: SourcePlan) -> str:
        return self.trouble(plan).message

    def _statement(self, plan: SourcePlan) -> str:
        from rowlock_operator.decide.status_values import waiting_value  # a parser of 8 MB

        column, waiting = (
            _name(plan.status_column or ""),
            waiting_value(plan.pending, plan.status_column or ""),
        )
        value = _text(waiting) if waiting is not None else "<the value with which a row waits>"
        keys = ", ".join(_text(key) for key in self.keys)
        return (
            f"UPDATE {_name(plan.schema)}.{_name(plan.table)} SET {column} = {value} "
            f"WHERE {_name(plan.key)} IN ({keys}) AND {column} = {_text(plan.claimed)}"
        )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
