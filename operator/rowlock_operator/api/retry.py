"""Retry budgets: how often and how patiently each class of failure is tried again."""

from typing import Annotated

from pydantic import ConfigDict, Field

from rowlock_operator.api.model import DAY, ApiModel, rule, rules

_BACKOFF = rules(
    rule(
        "self.backoffSeconds <= self.maxBackoffSeconds",
        "backoffSeconds must not exceed maxBackoffSeconds: lower backoffSeconds or raise maxBackoffSeconds",
        ".backoffSeconds",
    )
)
_Limit = Annotated[int, Field(ge=0, le=1000, description="Retries after the first try; 0 = none.")]
_First = Annotated[
    int, Field(ge=0, le=DAY, description="Wait before the first retry, in seconds; doubled each time.")
]
_Longest = Annotated[int, Field(ge=0, le=7 * DAY, description="Longest wait between two tries, in seconds.")]


class InfraRetry(ApiModel):
    """Retries when a worker or pod was lost without a cause or ran out of memory; evictions, preemptions and
    lost nodes use none.
    """

    model_config = ConfigDict(json_schema_extra=_BACKOFF)
    limit: _Limit = 5
    backoff_seconds: _First = 1
    max_backoff_seconds: _Longest = 60


class AppRetry(ApiModel):
    """Retries when the task itself failed."""

    model_config = ConfigDict(json_schema_extra=_BACKOFF)
    limit: _Limit = 3
    backoff_seconds: _First = 10
    max_backoff_seconds: _Longest = 600


class SiteRetry(ApiModel):
    """Retries when a website or service the task talks to failed."""

    model_config = ConfigDict(json_schema_extra=_BACKOFF)
    limit: _Limit = 5
    backoff_seconds: _First = 60
    max_backoff_seconds: _Longest = 3600


class Retry(ApiModel):
    """Retry budgets per failure class; input errors are never retried."""

    infra: InfraRetry = Field(default_factory=InfraRetry)
    app: AppRetry = Field(default_factory=AppRetry)
    site: SiteRetry = Field(default_factory=SiteRetry)
