"""Looks at a user's table before anything is taken from it: whether it can serve, and where it cannot, what
its owner should change.
"""

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions

from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.source_table import (
    Inspection,
    SourcePlan,
    compiled,
    marked_visible,
    order_of,
    status_check,
)

_SQL = load_statements("rowlock_operator.rows", "sql/source.sql")
KEY_TYPES = ("smallint", "integer", "bigint", "uuid", "text", "character varying", "character", "numeric")
_SERVING = {"r": "table", "p": "partitioned table", "v": "view"}
_OTHER = {
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
    "I": "index",
    "c": "composite type",
    "t": "TOAST table",
}
_MANY_ROWS = 10_000


@dataclass(frozen=True)
class _Column:
    """One column, as the catalogs and our rights show it, in the order of the statement. `large`: nothing
    bounds its values.
    """

    name: str
    type: str
    number: int
    not_null: bool
    generated: bool
    text: bool
    large: bool
    writable: bool
    may_select: bool
    may_update: bool


@dataclass(frozen=True)
class _Relation:
    oid: int
    kind: str
    estimated_rows: float
    role: str
    columns: dict[str, _Column]


def inspect(pool: Pool, plan: SourcePlan) -> Inspection:
    """Looks at the table; raises GiveUp with reason and remedy where it cannot serve."""
    what = f'table "{plan.schema}"."{plan.table}"'
    with pool.on_table(f"looking at {what}") as cursor:
        found = _relation(cursor, plan, what, pool.name)
        _check_columns(plan, what, found)
        _check_rights(plan, what, found)
        _check_key(cursor, plan, what, found)
        no_error = _check_status(cursor, plan, what, found)
        rules = _check_mark(cursor, plan, what, found)
        tree, lockable = _plan_of_look(cursor, plan, what, found)
        sorts, scans, index = _shape(tree)
        partial = _is_partial(cursor, index)
        in_order = _reads_in_order(cursor, plan, lock=lockable)
    advice = None
    if found.estimated_rows > _MANY_ROWS and not in_order and (sorts or scans or (index and not partial)):
        advice = _index(plan)
    columns = {sys.intern(column.name): sys.intern(column.type) for column in found.columns.values()}
    arguments = dict.fromkeys(column for _, column in plan.arguments)
    return Inspection(
        key_type=columns[plan.key],
        status_type=columns[plan.status_column] if plan.status_column else None,
        relation=_SERVING[found.kind],
        estimated_rows=float(found.estimated_rows),
        sorts=sorts and not in_order,
        advice=advice,
        columns=columns,
        nullable_key=not found.columns[plan.key].not_null,
        lockable=lockable,
        in_order=in_order,
        no_error=no_error,
        rules=rules,
        large_columns=tuple(name for name in arguments if found.columns[name].large),
        places=_has_places(plan, found),
    )


def _has_places(plan: SourcePlan, found: _Relation) -> bool:
    order = order_of(plan)
    return all(found.columns[name].not_null and down == order[0][1] for name, down in order)


def _relation(cursor: extensions.cursor, plan: SourcePlan, what: str, database: str) -> _Relation:
    cursor.execute(_SQL["relation"], {"schema": plan.schema, "table": plan.table})
    row = cursor.fetchone()
    if row is None:
        raise reasons.TABLE_MISSING.error(fact=f"{what} does not exist in database {database}")
    oid, kind, estimated, role, may_use_schema = row
    if kind not in _SERVING:
        raise reasons.NOT_A_TABLE.error(table=what, kind=_OTHER.get(kind, "relation of another kind"))
    if not may_use_schema:
        remedy = f"GRANT USAGE ON SCHEMA {quoted(plan.schema)} TO {quoted(role)}"
        raise reasons.NOT_ALLOWED.error(
            fact=f"{what}: the operator's role may not use the schema", remedy=remedy
        )
    cursor.execute(_SQL["attributes"], {"oid": oid})
    return _Relation(oid, kind, estimated, role, {row[0]: _Column(*row) for row in cursor.fetchall()})


def _check_columns(plan: SourcePlan, what: str, found: _Relation) -> None:
    for where, column in _named(plan):
        if column not in found.columns:
            composite = (
                "; one column identifies a row, a composite key cannot"
                if where == "spec.key" and "," in column
                else ""
            )
            known = f"{composite}; its columns are {', '.join(sorted(found.columns))}"
            raise reasons.COLUMN_MISSING.error(
                fact=f'{what} has no column "{column}"', field=where, known=known
            )


def _named(plan: SourcePlan) -> list[tuple[str, str]]:
    """(field of the spec, column) of every column that is named, pending's not."""
    named = [
        ("spec.key", plan.key),
        ("spec.fairnessKey", plan.fairness_key),
        ("spec.statusColumn.name", plan.status_column),
        ("spec.again.versionColumn", plan.version_column),
        ("spec.statusColumn.errorColumn", plan.error_column),
        *(("spec.orderBy", column) for column, _ in plan.order_by),
        *(("spec.columns or spec.args", column) for _, column in plan.arguments),
        *(("spec.limits", limit.column) for limit in plan.limits),
    ]
    return [(where, column) for where, column in named if column is not None]


def _check_rights(plan: SourcePlan, what: str, found: _Relation) -> None:
    """Without a status column reading is enough: rows that cannot be locked are taken all the same, and the
    ledger tells them apart.
    """
    lacking = [("SELECT", name) for _, name in _named(plan) if not found.columns[name].may_select]
    lacking += [
        ("UPDATE", name)
        for name in (plan.status_column, plan.error_column)
        if name and not found.columns[name].may_update
    ]
    if lacking:
        right, column = lacking[0]
        wanted = "SELECT, UPDATE" if plan.status_column else "SELECT"
        remedy = f"GRANT {wanted} ON {quoted(plan.schema)}.{quoted(plan.table)} TO {quoted(found.role)}"
        raise reasons.NOT_ALLOWED.error(
            fact=f"{what}: the operator's role may not {right} its column {column}", remedy=remedy
        )


def _check_key(cursor: extensions.cursor, plan: SourcePlan, what: str, found: _Relation) -> None:
    key = found.columns[plan.key]
    if key.type.split("(")[0] not in KEY_TYPES:
        raise reasons.KEY_TYPE_NOT_SUPPORTED.error(
            table=what, column=key.name, type=key.type, supported=", ".join(KEY_TYPES)
        )
    if found.kind == "v":
        return  # a view has no index: whoever made it says that the key identifies a row
    cursor.execute(_SQL["unique_keys"], {"oid": found.oid, "number": key.number})
    keys: list[list[str]] = [columns for (columns,) in cursor.fetchall()]
    if [key.name] in keys:
        return
    why = "no unique index on just it"
    if keys:
        why += f", only on ({', '.join(keys[0])}) together: a composite key cannot be a source's"
    raise reasons.KEY_NOT_UNIQUE.error(table=what, column=key.name, why=why)


def _check_status(cursor: extensions.cursor, plan: SourcePlan, what: str, found: _Relation) -> str | None:
    """The values will be written one day: better to say now that the column does not take them. Returns what
    stands for no error.
    """
    if plan.status_column is None:
        return None
    for name in filter(None, (plan.status_column, plan.error_column)):
        column = found.columns[name]
        if found.kind == "v" and not column.writable:
            raise reasons.VIEW_READ_ONLY.error(table=what, column=name)
        if column.generated:
            raise reasons.STATUS_REFUSED.error(
                table=what, column=name, value=plan.claimed, why="it is a generated column"
            )
    if plan.error_column and not found.columns[plan.error_column].text:
        why = f"it is of type {found.columns[plan.error_column].type}, and an error is text"
        raise reasons.STATUS_REFUSED.error(
            table=what, column=plan.error_column, value="the error's message", why=why
        )
    status = found.columns[plan.status_column]
    cursor.execute(_SQL["checks"], {"oid": found.oid, "number": status.number})
    checks = [check for (check,) in cursor.fetchall()]
    for value in dict.fromkeys(plan.status_values.values()):
        try:
            cursor.execute(status_check(plan.status_column, status.type, checks), {"value": value})
        except (psycopg2.DataError, psycopg2.IntegrityError) as error:  # a domain's check is the latter
            raise reasons.STATUS_REFUSED.error(
                table=what, column=status.name, value=value, why=_first_line(error)
            ) from error
        stored, fulfilled = cursor.fetchone() or (None, False)
        if stored != value:
            why = f"as {status.type} it would be {stored!r} (write it so, or make the column fit)"
            raise reasons.STATUS_REFUSED.error(table=what, column=status.name, value=value, why=why)
        if fulfilled is False:
            raise reasons.STATUS_REFUSED.error(
                table=what, column=status.name, value=value, why=f"CHECK ({' AND '.join(checks)})"
            )
    return _no_error(cursor, what, found, found.columns[plan.error_column]) if plan.error_column else None


def _no_error(cursor: extensions.cursor, what: str, found: _Relation, column: _Column) -> str | None:
    """What the error column takes where there is no error: null, else an empty text."""
    cursor.execute(_SQL["checks"], {"oid": found.oid, "number": column.number})
    check = status_check(column.name, column.type, [check for (check,) in cursor.fetchall()])
    for value in (None, "") if not column.not_null else ("",):
        cursor.execute(_SQL["savepoint"])
        try:
            cursor.execute(check, {"value": value})
        except (psycopg2.DataError, psycopg2.IntegrityError):
            cursor.execute(_SQL["rollback_to_savepoint"])
        else:
            if (cursor.fetchone() or (None, False))[1] is not False:
                return value
    why = "after a success it is cleared, and it takes neither null nor an empty text"
    raise reasons.STATUS_REFUSED.error(table=what, column=column.name, value="", why=why)


def _check_mark(cursor: extensions.cursor, plan: SourcePlan, what: str, found: _Relation) -> bool:
    """Whether the table has rules for its updates; raises GiveUp where it can be known that a claimed row
    does not stay marked.
    """
    if plan.status_column is None:
        return False
    lost = {"table": what, "column": plan.status_column, "value": plan.claimed}
    cursor.execute(_SQL["update_rules"], {"oid": found.oid})
    rules: list[tuple[str, bool]] = cursor.fetchall()
    if rules and rules[0][1] and found.kind != "v":
        raise reasons.MARK_LOST.error(
            **lost, why=f"its rule {rules[0][0]} does something else instead of every update"
        )
    if found.kind == "v":
        cursor.execute(
            marked_visible(plan, found.columns[plan.status_column].type), {"claimed": plan.claimed}
        )
        if _reads_nothing(cursor):
            raise reasons.MARK_LOST.error(
                **lost, why="a row that says so is not in the view: name the table beneath, or show such rows"
            )
    return bool(rules)


def _reads_nothing(cursor: extensions.cursor) -> bool:
    """Whether the plan that the cursor holds was proven to find no row."""
    root = _root(cursor)
    return root.get("Node Type") == "Result" and root.get("One-Time Filter") == "false"


def _plan_of_look(
    cursor: extensions.cursor, plan: SourcePlan, what: str, found: _Relation
) -> tuple[dict[str, Any], bool]:
    """(the plan of the claim's look, whether it may lock rows); the database checks spec.pending on the
    way.
    """
    may_lock = any(column.may_update for column in found.columns.values())
    cursor.execute(_SQL["savepoint"])
    try:
        return _explain(cursor, plan, lock=may_lock), may_lock
    except psycopg2.NotSupportedError as error:
        if not may_lock:
            raise
        if plan.status_column:
            raise reasons.VIEW_NOT_LOCKABLE.error(table=what, why=_first_line(error)) from error
        cursor.execute(_SQL["rollback_to_savepoint"])
        return _explain(cursor, plan, lock=False), False
    except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
        if error.pgcode == "42703":
            known = f"; its columns are {', '.join(sorted(found.columns))}"
            raise reasons.COLUMN_MISSING.error(
                fact=f"{what}: {_first_line(error)}", field="spec.pending", known=known
            ) from error
        if error.pgcode in ("42501", "42P01"):
            raise
        raise reasons.PENDING_REFUSED.error(why=_first_line(error)) from error


def _reads_in_order(cursor: extensions.cursor, plan: SourcePlan, *, lock: bool) -> bool:
    """Whether a partial index has the pending rows in order, which the planner does not see in a small table,
    or one it has no figures of.
    """
    cursor.execute(_SQL["in_order"])
    sorts, _, index = _shape(_explain(cursor, plan, lock=lock))
    return not sorts and _is_partial(cursor, index)


def _is_partial(cursor: extensions.cursor, index: str | None) -> bool:
    if index is None:
        return False
    cursor.execute(_SQL["index_is_partial"], {"index": index})
    return bool((cursor.fetchone() or (False,))[0])


def _explain(cursor: extensions.cursor, plan: SourcePlan, *, lock: bool) -> dict[str, Any]:
    cursor.execute(compiled("explain", plan, lock=lock), {"n": 500})
    return _root(cursor)


def _root(cursor: extensions.cursor) -> dict[str, Any]:
    """The topmost node of the plan that the cursor holds."""
    tree: Any = (cursor.fetchone() or (None,))[0]
    root: dict[str, Any] = (tree if isinstance(tree, list) else json.loads(tree))[0]["Plan"]
    return root


def _first_line(error: psycopg2.Error) -> str:
    hint = f" ({error.diag.message_hint.rstrip('.')})" if error.diag.message_hint else ""
    return str(error).strip().splitlines()[0] + hint


def _shape(node: dict[str, Any]) -> tuple[bool, bool, str | None]:
    """(sorts, scans the whole table, name of the index used) of a plan."""
    kind = node.get("Node Type", "")
    sorts, scans, index = kind in ("Sort", "Incremental Sort"), kind == "Seq Scan", node.get("Index Name")
    for child in node.get("Plans", ()):
        more = _shape(child)
        sorts, scans, index = sorts or more[0], scans or more[1], index or more[2]
    return sorts, scans, index


def _index(plan: SourcePlan) -> str:
    order = ", ".join(
        f"{quoted(column)}{' desc' if descending else ''}" for column, descending in order_of(plan)
    )
    return (
        f"CREATE INDEX CONCURRENTLY ON {quoted(plan.schema)}.{quoted(plan.table)} ({order}) WHERE"
        f" {plan.pending}"
    )


def quoted(name: str) -> str:
    """The name as a user types it: quoted only where it must be."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
