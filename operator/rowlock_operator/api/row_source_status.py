"""What Rowlock answers about a RowSource."""

from datetime import datetime

from pydantic import Field

from rowlock_operator.api.meta import Condition
from rowlock_operator.api.model import ApiModel, keyed


class RowSourceStatus(ApiModel):
    """What Rowlock sees; never write it."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation these words are about."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        json_schema_extra=keyed("type"),
        description="Ready, Progressing, Suspended, Throttled, Degraded.",
    )
    pending: int | None = Field(
        default=None, ge=0, description="Rows that wait, in the table and in the ledger."
    )
    pending_display: str | None = Field(
        default=None, max_length=16, description="pending as shown; 1000+ where it was counted no further."
    )
    running: int | None = Field(default=None, ge=0, description="Rows whose run is running.")
    done: int | None = Field(
        default=None, ge=0, description="Runs of this source that succeeded, within the queue's history."
    )
    failed: int | None = Field(
        default=None, ge=0, description="Runs of this source that are dead or unknown."
    )
    throttled: int | None = Field(default=None, ge=0, description="Runs that wait behind a limit.")
    left_alone: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Ended runs whose row was left alone, since it said something else than the claimed value, or was"
            " gone; within the history."
        ),
    )
    last_claim_time: datetime | None = Field(
        default=None, description="When rows were last taken, to the minute."
    )
