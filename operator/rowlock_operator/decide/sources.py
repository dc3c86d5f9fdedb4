"""Whether a RowSource and its WorkQueue fit together, and what the source means once its words are
checked.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rowlock_operator.api import reasons
from rowlock_operator.api.row_source import RowSource, StatusColumn
from rowlock_operator.api.work_queue import DatabaseRef, WorkQueue
from rowlock_operator.decide.identifiers import parse_order, parse_table
from rowlock_operator.errors import GiveUp

if TYPE_CHECKING:
    from rowlock_operator.decide.pending import PendingExpression


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedSource:
    """What was text in the spec, read and found right."""

    schema: str
    table: str
    pending: "PendingExpression"
    order_by: tuple[tuple[str, bool], ...]
    database: DatabaseRef


def check_source(
    source: RowSource, queue: WorkQueue | None, *, default_database_secret: str
) -> CheckedSource:
    """Everything that can be said without the database. Raises GiveUp (InvalidSpec) with the reason and what
    to change.
    """
    spec = source.spec
    schema, table = parse_table(spec.table)
    pending = _checked_condition(spec.pending, spec.status_column)
    order_by = parse_order(spec.order_by, spec.key)
    name = spec.work_queue_ref.name
    if queue is None:
        raise GiveUp(reasons.QUEUE_MISSING.says(queue=name), reasons.QUEUE_MISSING.name)
    if spec.task not in queue.spec.tasks:
        raise GiveUp(reasons.TASK_NOT_ALLOWED.says(task=spec.task, queue=name), reasons.TASK_NOT_ALLOWED.name)
    database = queue.spec.database_ref or DatabaseRef(secret_name=default_database_secret)
    if spec.database_ref is not None and not _same_database(spec.database_ref, database):
        raise GiveUp(reasons.DATABASE_MISMATCH.says(queue=name), reasons.DATABASE_MISMATCH.name)
    return CheckedSource(schema=schema, table=table, pending=pending, order_by=order_by, database=database)


@lru_cache(maxsize=512)
def _checked_condition(pending: str, status: StatusColumn | None) -> "PendingExpression":
    """The same question at every look at a source, and of most sources, and each answer parses the condition
    some seven times (7 ms).
    """
    # Imported with the first source: a replica that waits for the Lease never needs the parser (8 MB).
    from rowlock_operator.decide.pending import check_pending
    from rowlock_operator.decide.status_values import check_status_values

    expression = check_pending(pending)
    if status is not None:
        check_status_values(pending, status)
    return expression


def _same_database(one: DatabaseRef, other: DatabaseRef) -> bool:
    """The same Secret and key: two Secrets with one URL are not looked into."""
    return (one.secret_name, one.key) == (other.secret_name, other.key)
