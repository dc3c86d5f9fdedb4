"""What Rowlock answers about a MonitoringProcess."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from rowlock_operator.api.meta import Condition
from rowlock_operator.api.model import ApiModel, keyed

Phase = Literal["created", "running", "stopped", "completed", "failed"]


class MonitoringProcessStatus(ApiModel):
    """What Rowlock sees; never write it."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation these words are about."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        json_schema_extra=keyed("type"),
        description="Ready, Progressing, Degraded, NeedsReauth.",
    )
    phase: Phase | None = Field(
        default=None, description="created, running, stopped, completed (its duration is over) or failed."
    )
    reason: str | None = Field(
        default=None, max_length=100, description="Why it is in this phase, one CamelCase word."
    )
    message: str | None = Field(default=None, max_length=2048, description="The same as a sentence.")
    started_at: datetime | None = Field(default=None, description="When it last began to run.")
    ends_at: datetime | None = Field(default=None, description="When its duration is over.")
    stopped_at: datetime | None = Field(default=None, description="When it ended.")
    progress: str | None = Field(
        default=None, max_length=32, description="Comments posted / comments there are or will be."
    )
    articles: int | None = Field(default=None, ge=0, description="Different articles found.")
    comments: int | None = Field(
        default=None,
        ge=0,
        description="Comments there are or will be: articles x logins that saw them x prompts.",
    )
    generated: int | None = Field(
        default=None, ge=0, description="Comments whose text was written, whatever became of them."
    )
    waiting: int | None = Field(default=None, ge=0, description="Comments that wait for approval.")
    approved: int | None = Field(
        default=None, ge=0, description="Comments that are approved and wait for their turn to be posted."
    )
    posted: int | None = Field(default=None, ge=0, description="Comments on the site.")
    failed: int | None = Field(default=None, ge=0, description="Comments that could not be made or posted.")
    unknown: int | None = Field(
        default=None,
        ge=0,
        description="Comments of which nobody knows whether they were posted; never repeated.",
    )
    active: int | None = Field(default=None, ge=0, description="Steps in work at this moment.")
    per_minute: str | None = Field(
        default=None, max_length=16, description="Comments written or posted a minute, over five minutes."
    )
    next_discovery_time: datetime | None = Field(
        default=None, description="When new articles are looked for next."
    )
    last_error: str | None = Field(
        default=None, max_length=1024, description="The last thing that went wrong: Reason: sentence."
    )
    last_start_request: str | None = Field(
        default=None, max_length=64, description="spec.startRequest of the last start."
    )
    last_state: str | None = Field(
        default=None, max_length=16, description="spec.state as it was last acted on."
    )
