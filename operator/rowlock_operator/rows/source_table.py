"""A user's table as a source: what it is, whether it can serve, and the statements compiled for it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql

from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.statements import statements

_SQL = statements("source")
KEY_TYPES = ("smallint", "integer", "bigint", "uuid", "text", "character varying", "character", "numeric")
_CLAIMABLE_RELATIONS = {"r": "table", "p": "partitioned table", "v": "view"}


@dataclass(frozen=True)
class SourceLimitKey:
    """One limit: the ledger's rule name and the column whose values have it to themselves (None: the whole source)."""

    rule: str
    column: str | None


@dataclass(frozen=True)
class SourcePlan:
    """A RowSource as the rows room needs it: names and expressions that were checked before."""

    name: str
    schema: str
    table: str
    key: str
    pending: str
    order_by: tuple[tuple[str, bool], ...]  # (column, descending)
    arguments: tuple[tuple[str, str], ...]  # (argument, column)
    task: str
    priority: int = 0
    fairness_key: str | None = None
    limits: tuple[SourceLimitKey, ...] = ()
    status_column: str | None = None
    claimed: str = ""
    succeeded: str = ""
    failed: str = ""
    canceled: str = ""
    error_column: str | None = None

    @property
    def turn_column(self) -> str | None:
        """The column whose values take turns: the fairness key, else the first keyed limit's."""
        return self.fairness_key or next((limit.column for limit in self.limits if limit.column), None)

    @property
    def status_values(self) -> dict[str, str]:
        """State of the ledger -> value of the user's column."""
        return {
            "claimed": self.claimed,
            "succeeded": self.succeeded,
            "dead": self.failed,
            "unknown": self.failed,
            "canceled": self.canceled or self.failed,
        }


@dataclass(frozen=True)
class Inspection:
    """What the database said of the table. `advice` is a sentence with the index to create, or None."""

    key_type: str
    status_type: str | None
    relation: str
    estimated_rows: float
    sorts: bool
    advice: str | None
    columns: dict[str, str] = field(default_factory=dict)


def inspect(pool: Pool, plan: SourcePlan) -> Inspection:
    """Looks at the table; raises GiveUp with reason and remedy where it cannot serve."""
    what = f'table "{plan.schema}"."{plan.table}"'
    with pool.transaction(f"looking at {what}") as cursor:
        cursor.execute(_SQL["relation"], {"schema": plan.schema, "table": plan.table})
        row = cursor.fetchone()
        if row is None:
            raise GiveUp(
                f"{what} does not exist in database {pool.name}: create it, or delete this RowSource and make it again with the right "
                "spec.table (schema.table, spelled as \\d shows it)",
                "TableMissing",
            )
        oid, kind, estimated, may_select, may_update = row
        if kind not in _CLAIMABLE_RELATIONS:
            raise GiveUp(f"{what} is neither a table nor a view: name a table", "NotATable")
        if not may_select or not may_update:
            right = "SELECT" if not may_select else "UPDATE"
            raise GiveUp(
                f"{what}: the operator's role may not {right} (rows are locked while they are taken): GRANT SELECT, UPDATE ON {plan.schema}.{plan.table} to it",
                "NotAllowed",
            )
        cursor.execute(_SQL["attributes"], {"oid": oid})
        columns = {name: kind_of for name, kind_of, _ in cursor.fetchall()}
        _check_columns(plan, what, columns)
        key_type = columns[plan.key].split("(")[0]
        if key_type not in KEY_TYPES:
            raise GiveUp(
                f"{what}: key column {plan.key} is of type {columns[plan.key]}; supported are {', '.join(KEY_TYPES)}", "KeyTypeNotSupported"
            )
        cursor.execute(_SQL["unique_keys"], {"oid": oid})
        if kind != "v" and plan.key not in {name for (name,) in cursor.fetchall()}:
            raise GiveUp(
                f"{what}: column {plan.key} alone is not unique (no unique index on just it): name a column that is, or create a unique index on it",
                "KeyNotUnique",
            )
        cursor.execute(compiled("explain", plan))
        tree: Any = (cursor.fetchone() or (None,))[0]
        sorts, scans, index = _shape((tree if isinstance(tree, list) else json.loads(tree))[0]["Plan"])
        partial = False
        if index:
            cursor.execute(_SQL["index_is_partial"], {"index": index})
            partial = bool((cursor.fetchone() or (False,))[0])
    large = estimated > 10_000
    advice = None
    if large and (sorts or scans or (index and not partial)):
        order = ", ".join(f"{_quoted(column)}{' desc' if descending else ''}" for column, descending in order_of(plan))
        on = f"{_quoted(plan.schema)}.{_quoted(plan.table)}"
        advice = f"an index would help: CREATE INDEX CONCURRENTLY ON {on} ({order}) WHERE {plan.pending}"
    status_type = columns[plan.status_column] if plan.status_column else None
    return Inspection(columns[plan.key], status_type, _CLAIMABLE_RELATIONS[kind], float(estimated), sorts, advice, columns)


def _quoted(name: str) -> str:
    """The name as a user types it: quoted only where it must be."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def order_of(plan: SourcePlan) -> tuple[tuple[str, bool], ...]:
    """The order of claiming; the key where nothing else is said."""
    return plan.order_by or ((plan.key, False),)


def _check_columns(plan: SourcePlan, what: str, columns: dict[str, str]) -> None:
    named = [
        ("spec.key", plan.key),
        ("spec.fairnessKey", plan.fairness_key),
        ("spec.statusColumn.name", plan.status_column),
        ("spec.statusColumn.errorColumn", plan.error_column),
    ]
    named += [("spec.orderBy", column) for column, _ in plan.order_by] + [
        ("spec.columns or spec.args", column) for _, column in plan.arguments
    ]
    named += [("spec.limits", limit.column) for limit in plan.limits]
    for where, column in named:
        if column is not None and column not in columns:
            known = ", ".join(sorted(columns))
            raise GiveUp(f'{what} has no column "{column}": correct {where}, or add the column; its columns are {known}', "ColumnMissing")


def _shape(node: dict[str, Any]) -> tuple[bool, bool, str | None]:
    """(sorts, scans the whole table, name of the index used) of a plan."""
    kind = node.get("Node Type", "")
    sorts, scans, index = kind in ("Sort", "Incremental Sort"), kind == "Seq Scan", node.get("Index Name")
    for child in node.get("Plans", ()):
        more = _shape(child)
        sorts, scans, index = sorts or more[0], scans or more[1], index or more[2]
    return sorts, scans, index


def compiled(name: str, plan: SourcePlan, *, inspection: Inspection | None = None, cursor_used: bool = True) -> sql.Composed:
    """A statement of `source.sql` for this table: identifiers quoted, the checked condition put in as it is (its percent signs doubled)."""

    def column(name: str, alias: str = "t") -> sql.Composable:
        return sql.SQL("{}.{}").format(sql.SQL(alias), sql.Identifier(name))

    turn = plan.turn_column
    fairness: sql.Composable = sql.SQL("coalesce({}::text, '')").format(column(turn)) if turn else sql.SQL("''")
    limits: sql.Composable = sql.SQL("null::text[]")
    if plan.limits:
        names = [
            sql.SQL("{} || coalesce({}::text, '')").format(sql.Literal(limit.rule + ":"), column(limit.column))
            if limit.column
            else sql.Literal(limit.rule + ":")
            for limit in plan.limits
        ]
        limits = sql.SQL("array[{}]::text[]").format(sql.SQL(", ").join(names))
    pairs = [sql.SQL("{}, {}").format(sql.Literal(argument), column(of)) for argument, of in plan.arguments]
    # A function call takes at most 100 arguments: objects of 40 pairs are joined.
    objects = [sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs[i : i + 40])) for i in range(0, len(pairs), 40)]
    order = sql.SQL(", ").join(sql.SQL("{} desc" if descending else "{}").format(column(name)) for name, descending in order_of(plan))
    parts: dict[str, sql.Composable] = {
        "table": sql.Identifier(plan.schema, plan.table),
        "key": sql.Identifier(plan.key),
        "pending": sql.SQL(plan.pending.replace("%", "%%")),
        "order": order,
        "args": sql.SQL(" || ").join(objects),
        "fairness": fairness,
        "limits": limits,
        "status": sql.Identifier(plan.status_column) if plan.status_column else sql.SQL(""),
        "error": sql.SQL(", {} = w.error").format(sql.Identifier(plan.error_column)) if plan.error_column else sql.SQL(""),
        "key_type": sql.SQL(inspection.key_type) if inspection else sql.SQL("text"),
        "status_type": sql.SQL(inspection.status_type or "text") if inspection else sql.SQL("text"),
    }
    parts["unseen"] = (
        sql.SQL(_SQL["unseen"] if cursor_used else _SQL["unseen"].rsplit(" and (", 1)[0]).format(**parts)
        if not plan.status_column
        else sql.SQL("")
    )
    parts["unsaturated"] = sql.SQL(_SQL["unsaturated"]).format(**parts) if turn else sql.SQL("")
    parts["mark"] = sql.SQL(_SQL["mark_status" if plan.status_column else "mark_seen"]).format(**parts)
    parts["prefilter"] = sql.SQL(_SQL["prefilter"]).format(**parts) if inspection and inspection.sorts else sql.SQL("")
    # Without parameters psycopg2 leaves percent signs alone, with parameters it wants them doubled.
    if name == "explain":
        parts["pending"] = sql.SQL(plan.pending)
    return sql.SQL(_SQL[name]).format(**parts)
