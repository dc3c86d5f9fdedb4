"""What Rowlock answers about a WorkQueue."""

from datetime import datetime

from pydantic import Field

from rowlock_operator.api.meta import Condition
from rowlock_operator.api.model import ApiModel, keyed


class WorkQueueStatus(ApiModel):
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
    replicas: int | None = Field(default=None, ge=0, description="Worker pods that exist.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Worker pods that are ready.")
    updated_replicas: int | None = Field(
        default=None, ge=0, description="Worker pods that have the newest template."
    )
    desired_replicas: int | None = Field(default=None, ge=0, description="Worker pods Rowlock wants.")
    selector: str | None = Field(default=None, description="Label selector of the worker pods, for an HPA.")
    kube_jobs: int | None = Field(
        default=None, ge=0, description="Mode Jobs: Kubernetes Jobs that have not ended."
    )
    backlog: int | None = Field(default=None, ge=0, description="Runs that are due and wait.")
    backlog_display: str | None = Field(
        default=None, max_length=16, description="backlog as shown; 1000+ where it was counted no further."
    )
    running: int | None = Field(default=None, ge=0, description="Runs that run.")
    oldest_since: datetime | None = Field(
        default=None, description="Since when the oldest waiting run is due."
    )
    failed: int | None = Field(
        default=None, ge=0, description="Runs that are dead or unknown and wait for `rowlock requeue`."
    )
    last_active_time: datetime | None = Field(
        default=None, description="When there last was as much work as there are pods; starts the cooldown."
    )
