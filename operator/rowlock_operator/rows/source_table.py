"""A user's table as a source: how it was found to be, and the statements compiled for it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg2 import sql

from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_operator.rows", "sql/source.sql")
# A batch is one transaction of up to 500 rows; a task that needs more reads it by the row's key.
LARGEST_VALUE_BYTES = 1024 * 1024
# As enqueue_v1: a key stands in an index; what takes turns or is limited travels with lanes and events.
LONGEST_KEY_BYTES, LONGEST_TURN_BYTES = 2_000, 8_000
_SHORT_TYPES = {
    "smallint",
    "integer",
    "bigint",
    "uuid",
    "boolean",
    "date",
    "real",
    "double precision",
    "money",
    "interval",
    "oid",
    "inet",
    "cidr",
}


class LeftOut(NamedTuple):
    """Pending rows that never become runs as they are, counted up to a cap."""

    keyless: int = 0
    large: int = 0  # an argument
    long: int = 0  # the key, or what takes turns or is limited


@dataclass(frozen=True)
class SourceLimitKey:
    """One limit: the ledger's rule name and the column whose values have it to themselves (None: the whole
    source).
    """

    rule: str
    column: str | None


@dataclass(frozen=True, slots=True)
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
    unknown: str = ""
    error_column: str | None = None
    version_column: str | None = (
        None  # without a status column: a row runs again when the value of this one has changed
    )
    again_seconds: int | None = None  # likewise: so long after it was taken; neither = never

    @property
    def runs_again(self) -> bool:
        """Whether a row without a status column may run more than once."""
        return self.version_column is not None or self.again_seconds is not None

    @property
    def shown(self) -> str:
        """The table as messages name it."""
        return f'table "{self.schema}"."{self.table}"'

    @property
    def turn_column(self) -> str | None:
        """The column whose values take turns: the fairness key, else the first keyed limit's."""
        return self.fairness_key or next((limit.column for limit in self.limits if limit.column), None)

    @property
    def throttles_keys(self) -> bool:
        """Whether one value of the turn column may have to wait while others need not."""
        return self.turn_column is not None and bool(self.limits)

    @property
    def status_values(self) -> dict[str, str]:
        """State of the ledger -> value of the user's column."""
        return {
            "claimed": self.claimed,
            "succeeded": self.succeeded,
            "dead": self.failed,
            "unknown": self.unknown or self.failed,
            "canceled": self.canceled or self.failed,
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the database said of the table. `advice` is the statement of an index to create, or None.
    `large_columns`: argument columns whose values nothing bounds. Rows of a table that is not `lockable`
    (some views) are taken without a lock.
    """

    key_type: str
    status_type: str | None
    relation: str
    estimated_rows: float
    sorts: bool
    advice: str | None
    columns: dict[str, str] = field(default_factory=dict)
    nullable_key: bool = False
    lockable: bool = True
    in_order: bool = False  # an index of the pending rows has them in the order of claiming
    large_columns: tuple[str, ...] = ()
    no_error: str | None = (
        None  # what the error column says where there is none: null, or '' where it takes no null
    )
    rules: bool = False  # it has rules for its updates
    places: bool = (
        False  # the order of claiming is one of values that are always there, and all go up or all go down
    )


def read_row(plan: SourcePlan, inspection: Inspection) -> str:
    """The statement that the ledger keeps, to look at a row again when its run is requeued."""
    # All of it is quoted text, so that no connection is asked.
    return compiled("read_row", plan, inspection=inspection).as_string(None).replace("%%", "%")  # type: ignore[arg-type]


def order_of(plan: SourcePlan) -> tuple[tuple[str, bool], ...]:
    """The order of claiming; the key where nothing else is said."""
    return plan.order_by or ((plan.key, False),)


def status_check(column: str, type_: str, checks: Iterable[str]) -> sql.Composed:
    """Asks what becomes of a value in the status column, and whether the column's own CHECKs take it."""
    conditions = [sql.SQL("({})").format(_raw(check)) for check in (*checks, "true")]
    return sql.SQL(_SQL["status_check"]).format(
        status=_name(column), status_type=_raw(type_), checks=sql.SQL(" and ").join(conditions)
    )


def marked_visible(plan: SourcePlan, type_: str) -> sql.Composed:
    """Asks the planner whether a row of this source can be seen once it is marked."""
    assert plan.status_column is not None
    parts = {
        "table": _name(plan.schema, plan.table),
        "status": _name(plan.status_column),
        "status_type": _raw(type_),
    }
    return sql.SQL(_SQL["marked_visible"]).format(**parts)


def _raw(text: str) -> sql.SQL:
    """SQL as it is; psycopg2 wants percent signs doubled where there are parameters."""
    return sql.SQL(text.replace("%", "%%"))


def _quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _name(*parts: str) -> sql.SQL:
    """A quoted identifier."""
    return _raw(_quoted(*parts))


def _text(value: str) -> sql.SQL:
    """A literal, whatever standard_conforming_strings says."""
    return _raw("E'" + value.replace("\\", "\\\\").replace("'", "''") + "'")


def _column(name: str) -> sql.Composable:
    return sql.SQL("t.") + _name(name)


def _large(inspection: Inspection | None) -> sql.Composable:
    """Whether a row holds a value too large for a run's arguments; sizes are read without unpacking the
    values.
    """
    if inspection is None or not inspection.large_columns:
        return sql.SQL("false")
    sizes = []
    for name in inspection.large_columns:
        measure = (
            "octet_length"
            if inspection.columns[name] in ("text", "character varying", "bytea")
            else "pg_column_size"
        )
        sizes.append(sql.SQL("coalesce({}({}), 0)").format(sql.SQL(measure), _column(name)))
    return sql.SQL("greatest({}) > {}").format(sql.SQL(", ").join(sizes), sql.Literal(LARGEST_VALUE_BYTES))


def long_columns(plan: SourcePlan, inspection: Inspection) -> dict[str, int]:
    """Columns that identify, order or limit runs and whose type does not bound their values -> how many bytes
    they may have.
    """
    most = {limit.column: LONGEST_TURN_BYTES for limit in plan.limits if limit.column}
    if plan.turn_column:
        most[plan.turn_column] = LONGEST_TURN_BYTES
    most[plan.key] = LONGEST_KEY_BYTES
    return {name: bytes_ for name, bytes_ in most.items() if not _is_short(inspection.columns[name], bytes_)}


def _is_short(type_: str, most: int) -> bool:
    if type_ in _SHORT_TYPES or type_.startswith(("timestamp", "time ")):
        return True
    family, _, size = type_.partition("(")
    if family == "numeric":
        return bool(size)
    return (
        family in ("character varying", "character")
        and size.rstrip(")").isdigit()
        and int(size.rstrip(")")) * 4 <= most
    )


def _long(plan: SourcePlan, inspection: Inspection | None) -> sql.Composable:
    """Whether a row has a key that no index takes, or turns or is limited by a value that no lane carries."""
    columns = long_columns(plan, inspection) if inspection else {}
    if not columns:
        return sql.SQL("false")
    each = [
        sql.SQL("coalesce(octet_length({}::text), 0) > {}").format(_column(name), sql.Literal(most))
        for name, most in columns.items()
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(each))


def _takeable(plan: SourcePlan, inspection: Inspection | None, *, refusing: bool) -> sql.Composable:
    """Leaves out rows that cannot become runs, so that they hold up no others."""
    conditions: list[sql.Composable] = []
    if inspection is not None and inspection.nullable_key:
        conditions.append(sql.SQL(" and {} is not null").format(_column(plan.key)))
    if inspection is not None and inspection.large_columns:
        conditions.append(sql.SQL(" and not ({})").format(_large(inspection)))
    if inspection is not None and long_columns(plan, inspection):
        conditions.append(sql.SQL(" and not {}").format(_long(plan, inspection)))
    if refusing:
        conditions.append(
            sql.SQL(' and {}::text collate "default" <> all(%(refused)s::text[])').format(_column(plan.key))
        )
    return sql.SQL("").join(conditions)


def _mark(
    plan: SourcePlan, inspection: Inspection | None, parts: dict[str, sql.Composable]
) -> tuple[sql.Composable, sql.Composable]:
    """How the claim marks its rows, and which of them are to be looked at again."""
    if not plan.status_column:
        return sql.SQL(""), sql.SQL("null::text[]")
    if inspection is not None and inspection.rules:
        return sql.SQL(""), sql.SQL(_SQL["to_check_all"])
    return sql.SQL(_SQL["mark_status"]).format(**parts), sql.SQL(_SQL["to_check"]).format(**parts)


def _remembering(
    plan: SourcePlan, parts: dict[str, sql.Composable], *, cursor_used: bool
) -> dict[str, sql.Composable]:
    """How rows that were taken are told apart without a status column: by their key, and by what makes them
    run again.
    """
    made: dict[str, sql.Composable]
    if plan.status_column:
        made = dict.fromkeys(("unseen", "remember_key", "fresh", "version_of"), sql.SQL(""))
        return made | {"version": sql.SQL("null"), "fresh_count": sql.SQL("null")}
    how = "version" if plan.version_column else "seconds" if plan.again_seconds else "never"
    # What stands for the column: where another one is named, what is remembered of the first says nothing.
    tag = _text(hashlib.md5((plan.version_column or "").encode(), usedforsecurity=False).hexdigest()[:8])
    made = {**parts, "version_of": tag, "seconds": sql.Literal(plan.again_seconds or 0)}
    made["version"] = sql.SQL("null")
    if plan.version_column:
        made["version"] = sql.SQL(_SQL["version"]).format(column=_column(plan.version_column), version_of=tag)
    made["outdated"] = sql.SQL(_SQL[f"outdated_{how}"]).format(**made, now_is=made["version"])
    made["unseen"] = sql.SQL(_SQL["unseen"] + (_SQL["behind_cursor"] if cursor_used else "")).format(**made)
    made["outdated"] = sql.SQL(_SQL[f"outdated_{how}"]).format(**made, now_is=sql.SQL("excluded.version"))
    made["remember_key"] = sql.SQL(_SQL["remember_key"]).format(**made)
    made["fresh"], made["fresh_count"] = sql.SQL(_SQL["fresh"]), sql.SQL("(select count(*) from remembered)")
    return made


def _place(plan: SourcePlan, inspection: Inspection | None, *, beyond: bool) -> dict[str, sql.Composable]:
    """For a look that begins behind a place in the order of claiming, and for finding such a place."""
    columns, descending = [name for name, _ in order_of(plan)], order_of(plan)[0][1]
    parts: dict[str, sql.Composable] = {
        "place": sql.SQL(", ").join(sql.SQL("{}::text").format(_column(name)) for name in columns),
        "backwards": (
            sql.SQL(", ").join(
                sql.SQL("{}" if down else "{} desc").format(_column(name)) for name, down in order_of(plan)
            )
        ),
        "beyond": sql.SQL(""),
    }
    if beyond and inspection is not None:
        values = [
            sql.SQL("{}::text::{}").format(sql.Placeholder(f"place{at}"), _raw(inspection.columns[name]))
            for at, name in enumerate(columns)
        ]
        parts["beyond"] = sql.SQL(_SQL["beyond"]).format(
            order_columns=sql.SQL(", ").join(_column(name) for name in columns),
            after=sql.SQL("<" if descending else ">"),
            values=sql.SQL(", ").join(values),
        )
    return parts


def compiled(
    name: str,
    plan: SourcePlan,
    *,
    inspection: Inspection | None = None,
    cursor_used: bool = True,
    lock: bool = True,
    refusing: bool = False,
    beyond: bool = False,
) -> sql.Composed:
    """A statement of `source.sql` for this table: identifiers quoted, the checked condition put in as it is.
    To be executed with parameters.

    `refusing`: the parameter `refused` has keys of rows to leave out. `beyond`: the parameters `place0`,
    `place1`... say where to begin.
    """
    turn = plan.turn_column
    fairness: sql.Composable = (
        sql.SQL("coalesce({}::text, '') collate \"default\"").format(_column(turn)) if turn else sql.SQL("''")
    )
    limits: sql.Composable = sql.SQL("null::text[]")
    if plan.limits:
        names = [
            (
                sql.SQL("{} || coalesce({}::text, '') collate \"default\"").format(
                    _text(limit.rule + ":"), _column(limit.column)
                )
                if limit.column
                else _text(limit.rule + ":")
            )
            for limit in plan.limits
        ]
        limits = sql.SQL("array[{}]::text[]").format(sql.SQL(", ").join(names))
    pairs = [sql.SQL("{}, {}").format(_text(argument), _column(of)) for argument, of in plan.arguments]
    # A function call takes at most 100 arguments: objects of 40 pairs are joined.
    objects = [
        sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs[i : i + 40]))
        for i in range(0, len(pairs), 40)
    ]
    order = sql.SQL(", ").join(
        sql.SQL("{} desc" if descending else "{}").format(_column(name))
        for name, descending in order_of(plan)
    )
    error = sql.SQL("")
    if plan.error_column:
        # The explicit cast cuts a message that is too long for a varchar.
        type_ = _raw(inspection.columns[plan.error_column]) if inspection else sql.SQL("text")
        none = (
            sql.SQL("null")
            if inspection is None or inspection.no_error is None
            else _text(inspection.no_error)
        )
        error = sql.SQL(", {} = coalesce(w.error, {})::{}").format(_name(plan.error_column), none, type_)  # type: ignore[assignment]
    parts: dict[str, sql.Composable] = {
        "table": _name(plan.schema, plan.table),
        "key": _name(plan.key),
        "pending": _raw(plan.pending),
        "order": order,
        "args": sql.SQL(" || ").join(objects),
        "fairness": fairness,
        "limits": limits,
        "status": _name(plan.status_column) if plan.status_column else sql.SQL(""),
        "error": error,
        "key_type": _raw(inspection.key_type) if inspection else sql.SQL("text"),
        "status_type": _raw(inspection.status_type or "text") if inspection else sql.SQL("text"),
        "lock": sql.SQL(_SQL["lock"] if lock and (inspection is None or inspection.lockable) else ""),
        "keyless": (
            sql.SQL("{} is null").format(_column(plan.key))
            if inspection and inspection.nullable_key
            else sql.SQL("false")
        ),
        "large": _large(inspection),
        "long": _long(plan, inspection),
        "takeable": _takeable(plan, inspection, refusing=refusing),
        "was": (
            sql.SQL("{}::text").format(_column(plan.status_column))
            if plan.status_column
            else sql.SQL("null::text")
        ),
        "regclass": sql.SQL("{}::regclass").format(_text(_quoted(plan.schema, plan.table))),
    }
    parts |= _remembering(plan, parts, cursor_used=cursor_used and not plan.runs_again)
    if name in ("marks", "marks_again"):
        held = _name("key") if name == "marks" else _name(plan.key)
        parts["unheld"] = sql.SQL(_SQL["unheld"]).format(held_key=held)
        parts["after"] = sql.SQL("t.{key} > %(after)s::text::{key_type}" if cursor_used else "true").format(
            **parts
        )
    parts["in_order"] = sql.SQL(_SQL["in_order"] + ";" if inspection and inspection.in_order else "")
    parts["inactive"], parts["new_id"] = sql.SQL(_SQL["inactive"]).format(**parts), sql.SQL(_SQL["new_id"])
    parts["unsaturated"] = sql.SQL(_SQL["unsaturated"]).format(**parts) if turn else sql.SQL("")
    parts["mark"], parts["to_check"] = _mark(plan, inspection, parts)
    parts["batch"], parts["bounded"] = (
        (sql.SQL("batch"), sql.SQL(_SQL["bounded"])) if plan.throttles_keys else (sql.SQL("c"), sql.SQL(""))
    )
    parts |= _place(plan, inspection, beyond=beyond)
    parts["prefilter"] = (
        sql.SQL(_SQL["prefilter"]).format(**parts) if inspection and inspection.sorts else sql.SQL("")
    )
    return sql.SQL(_SQL[name]).format(**parts)
