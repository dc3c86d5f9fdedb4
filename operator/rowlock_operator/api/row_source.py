"""RowSource: a table whose pending rows become runs, without a change to the application that owns it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from rowlock_operator.api.model import (
    DAY,
    SET,
    ApiModel,
    ColumnName,
    DnsLabel,
    TaskName,
    keyed,
    rule,
    rules,
    shaped,
)
from rowlock_operator.api.row_source_status import RowSourceStatus
from rowlock_operator.api.user_object import UserObject
from rowlock_operator.api.work_queue import DatabaseRef

# Exactly as the database shows them; a quoted name may hold anything, a dot included.
_TABLE = r'^([^\s".]+|"([^"]|"")+")(\.([^\s".]+|"([^"]|"")+"))?$'
_ORDER = r'^[^\s",]([^",]*[^\s",])?$'
_TABLE_ADVICE = (
    "write schema.table or table as the database shows them; put a name with blanks or dots into double"
    ' quotes: sales."odd.name"'
)
_ORDER_ADVICE = (
    "write one column, optionally followed by ' desc' or ' asc'; further columns are further items of the"
    " list"
)
StatusValue = Annotated[str, Field(min_length=1, max_length=200)]
ArgumentName = Annotated[str, Field(min_length=1, max_length=63)]


class WorkQueueRef(ApiModel):
    """The WorkQueue that runs the rows, in the same namespace."""

    name: DnsLabel = Field(description="Name of the WorkQueue.")


class StatusColumn(ApiModel):
    """The column of the user's table that tells the application what became of a row."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.claimed != self.succeeded && self.claimed != self.failed && (!has(self.canceled) ||"
                " self.claimed != self.canceled)",
                "claimed must differ from succeeded, failed and canceled: a row in work would look ended;"
                " choose another value",
                ".claimed",
            ),
            rule(
                "self.succeeded != self.failed",
                "succeeded and failed must differ: choose another value for one of them",
                ".failed",
            ),
            rule(
                "!has(self.canceled) || self.canceled != self.succeeded",
                "canceled and succeeded must differ: choose another value",
                ".canceled",
            ),
            rule(
                "!has(self.unknown) || (self.unknown != self.succeeded && self.unknown != self.claimed)",
                "unknown must differ from claimed and succeeded: nobody knows that it happened; choose"
                " another value",
                ".unknown",
            ),
            rule(
                "!has(self.errorColumn) || self.errorColumn != self.name",
                "errorColumn must be another column than name",
                ".errorColumn",
            ),
        )
    )
    name: ColumnName = Field(description="The column.")
    claimed: StatusValue = Field(
        description="Value written when the row is taken; must make `pending` false."
    )
    succeeded: StatusValue = Field(description="Value written when the run succeeded.")
    failed: StatusValue = Field(description="Value written when the run is dead.")
    canceled: StatusValue | None = Field(
        default=None, description="Value written when the run was canceled. Default: the value of failed."
    )
    unknown: StatusValue | None = Field(
        default=None,
        description=(
            "Value written when nobody can know whether the run's effect happened. Default: the value of"
            " failed."
        ),
    )
    error_column: ColumnName | None = Field(
        default=None, description="Text column that gets the failure's message; null after a success."
    )


class Rate(ApiModel):
    """A token bucket."""

    count: int = Field(ge=1, le=1_000_000, description="Starts...")
    per_seconds: int = Field(default=1, ge=1, le=DAY, description="...in this many seconds.")
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Starts at once after a pause. Default: count."
    )


class SourceLimit(ApiModel):
    """A limit on runs, per value of a column or for the whole source."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.concurrency) || has(self.rate)",
                "a limit needs concurrency, rate or both: add one or remove the limit",
            )
        )
    )
    name: DnsLabel = Field(description="Name of the limit, shown in conditions.")
    key: ColumnName | None = Field(
        default=None,
        description="Column; each of its values has the limit to itself. Absent: one limit for the source.",
    )
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Runs at once."
    )
    rate: Rate | None = Field(default=None, description="Starts per time.")


class Again(ApiModel):
    """When a row that is still pending, or pending again, runs again: without a status column the table does
    not say so.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.never) ? 1 : 0) + (has(self.versionColumn) ? 1 : 0) + (has(self.everySeconds) ? 1"
                " : 0) == 1",
                "give exactly one of never, versionColumn and everySeconds",
            ),
            rule(
                "!has(self.never) || self.never",
                "never can only be true: for rows that run again give versionColumn or everySeconds",
                ".never",
            ),
        )
    )
    never: bool | None = Field(
        default=None,
        description=(
            "true: a row runs once, whatever becomes of it. `rowlock forget-keys` makes an exception."
        ),
    )
    version_column: ColumnName | None = Field(
        default=None,
        description=(
            "Column that changes when the row is to run again, such as updated_at: it runs once for each"
            " value."
        ),
    )
    every_seconds: Annotated[int, Field(ge=1, le=366 * DAY)] | None = Field(
        default=None,
        description=(
            "It runs again while it is pending, so many seconds after it was last taken; never twice at once."
        ),
    )


class RowSourceSpec(ApiModel):
    """What the user asks for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.table == oldSelf.table",
                "table cannot be changed, since runs in flight write back to it: create another RowSource for"
                " the other table",
                ".table",
            ),
            rule(
                "self.key == oldSelf.key",
                "key cannot be changed, since runs in flight are known by it: create another RowSource",
                ".key",
            ),
            rule(
                "has(self.columns) != has(self.args)",
                "give exactly one of columns (arguments named like the columns) and args (argument name:"
                " column)",
            ),
            rule(
                "!has(self.statusColumn) || self.statusColumn.name != self.key",
                "statusColumn.name must be another column than key",
                ".statusColumn",
            ),
            rule(
                "!has(self.statusColumn) || !has(self.statusColumn.errorColumn) ||"
                " self.statusColumn.errorColumn != self.key",
                "statusColumn.errorColumn must be another column than key",
                ".statusColumn",
            ),
            rule(
                "has(self.statusColumn) || has(self.again)",
                "without statusColumn say when a row that is still pending, or pending again, runs again:"
                " again: {never: true}, {versionColumn: a column that changes then} or {everySeconds: n}",
            ),
            rule(
                "!has(self.statusColumn) || !has(self.again)",
                "again is for sources without statusColumn; with one, a row runs again once its status is set"
                " back: remove again or statusColumn",
                ".again",
            ),
            rule(
                "!has(self.again) || !has(self.again.versionColumn) || self.again.versionColumn != self.key",
                "again.versionColumn must be another column than key: the key of a row does not change",
                ".again",
            ),
            rule(
                "!self.pending.contains(';') && !self.pending.contains('--') && !self.pending.contains('/*')",
                "pending must be one boolean SQL expression, without ';' and without comments: remove them",
                ".pending",
            ),
            rule(
                "!self.pending.matches('^\\\\s*$')",
                "pending must not be empty: write the condition that a waiting row fulfils, for example"
                " status = 'new'",
                ".pending",
            ),
            rule(
                "!self.pending.matches('(?i)^\\\\s*(where|select|with|insert|update|delete)\\\\s')",
                "pending is only the condition, for example status = 'new': remove the SQL keyword at its"
                " beginning",
                ".pending",
            ),
            rule(
                "!has(self.args) || self.args.all(k, k.matches('^[A-Za-z_][A-Za-z0-9_]{0,62}$'))",
                "names of args must be at most 63 letters, digits and _, not beginning with a digit: rename"
                " the argument",
                ".args",
            ),
        )
    )
    work_queue_ref: WorkQueueRef = Field(description="The WorkQueue that runs the rows.")
    database_ref: DatabaseRef | None = Field(
        default=None,
        description="Secret with the database's URLs; must be the WorkQueue's, which is also the default.",
    )
    table: Annotated[str, shaped(_TABLE, _TABLE_ADVICE, at_most=130)] = Field(
        description=(
            "schema.table, or table for one in schema public; spelled exactly as the database shows it."
            " Cannot be changed."
        )
    )
    key: ColumnName = Field(
        description="The column that identifies a row; unique and not null. Cannot be changed."
    )
    pending: str = Field(
        min_length=1,
        max_length=2000,
        description=(
            "One boolean SQL expression over the table's columns: true for a row that waits. No subqueries."
        ),
    )
    order_by: list[Annotated[str, shaped(_ORDER, _ORDER_ADVICE, at_most=70)]] = Field(
        default_factory=list,
        max_length=8,
        json_schema_extra=SET,
        description=(
            "Columns, each optionally followed by ` desc`: which rows are taken first. Default: the key."
        ),
    )
    columns: (
        Annotated[list[ColumnName], Field(min_length=1, max_length=100, json_schema_extra=SET)] | None
    ) = Field(default=None, description="Columns that become the task's arguments under their own names.")
    args: Annotated[dict[ArgumentName, ColumnName], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Argument name: column."
    )
    status_column: StatusColumn | None = Field(
        default=None,
        description=(
            "Column that tells the application what became of a row. Absent: only the ledger remembers."
        ),
    )
    again: Again | None = Field(
        default=None,
        description=(
            "Without statusColumn, and only then: when a row that is still pending, or pending again, runs"
            " again."
        ),
    )
    task: TaskName = Field(description="The task each row is given to; must be in the WorkQueue's tasks.")
    priority: int = Field(default=0, ge=-100, le=100, description="Higher goes first.")
    fairness_key: ColumnName | None = Field(
        default=None,
        description="Column whose values take turns, so that none waits for another's thousands.",
    )
    limits: list[SourceLimit] = Field(
        default_factory=list, max_length=8, json_schema_extra=keyed("name"), description="Limits on runs."
    )
    suspend: bool = Field(
        default=False, description="true: no further rows are taken; what was taken may finish."
    )

    @property
    def argument_columns(self) -> dict[str, str]:
        """Argument name -> column, whichever of `columns` and `args` was given."""
        if self.args is not None:
            return dict(self.args)
        return {column: column for column in self.columns or ()}


class RowSource(UserObject):
    """A table whose pending rows become runs of a WorkQueue."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
                "the name of a RowSource must have at most 63 characters and no dot: choose another",
            )
        )
    )
    spec: RowSourceSpec
    status: RowSourceStatus = Field(default_factory=RowSourceStatus)
