"""The part of an object's metadata that decisions need, and the conditions every status carries."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from rowlock_operator.api.model import ApiModel

ConditionType = Literal["Ready", "Progressing", "Suspended", "Throttled", "Degraded", "NeedsReauth"]
ConditionStatus = Literal["True", "False", "Unknown"]


class Meta(ApiModel):
    """What we keep of `metadata`."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    deletion_timestamp: str | None = None

    @property
    def key(self) -> str:
        """`namespace/name`, the key of the reconciler and of the ledger's queue."""
        return f"{self.namespace}/{self.name}"


class Condition(ApiModel):
    """One aspect of the object's state, in the usual Kubernetes form."""

    type: ConditionType = Field(
        description="Which aspect: Ready, Progressing, Suspended, Throttled, Degraded or NeedsReauth."
    )
    status: ConditionStatus = Field(description="True, False, or Unknown while Rowlock cannot tell.")
    reason: str = Field(
        max_length=100, pattern=r"^[A-Z][A-Za-z0-9]*$", description="One CamelCase word for programs."
    )
    message: str = Field(
        default="", max_length=2048, description="A sentence for people: what is so, and what to do about it."
    )
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation this was said about."
    )
