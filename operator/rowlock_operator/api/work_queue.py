"""WorkQueue: how the work of one queue is executed."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rowlock_operator.api.model import (
    DAY,
    SET,
    ApiModel,
    DnsName,
    ModuleName,
    SecretKey,
    TaskName,
    rule,
    rules,
)
from rowlock_operator.api.pod_template import PodTemplate
from rowlock_operator.api.retry import Retry
from rowlock_operator.api.user_object import UserObject
from rowlock_operator.api.work_queue_status import WorkQueueStatus

_EXIT = "(has(self.contract) && self.contract == 'Exit')"
_JOBS_ONLY = "has no meaning in mode Workers: remove it (it belongs to mode Jobs)"


class DatabaseRef(ApiModel):
    """The Secret with the database's URLs, in the same namespace."""

    secret_name: DnsName = Field(description="Name of the Secret.")
    key: SecretKey = Field(
        default="url", description="Key with the URL of the operator's role (owner of the ledger)."
    )
    worker_key: SecretKey = Field(
        default="workerUrl", description="Key with the URL of the worker role; the only one that pods see."
    )


class Limits(ApiModel):
    """Bounds of one run."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.softSeconds < self.hardSeconds",
                "softSeconds must be less than hardSeconds, so that a task can clean up: lower softSeconds or"
                " raise hardSeconds",
                ".softSeconds",
            )
        )
    )
    soft_seconds: int = Field(
        default=300,
        ge=1,
        le=7 * DAY,
        description="After this many seconds the task gets an exception (failure class app).",
    )
    hard_seconds: int = Field(
        default=600,
        ge=2,
        le=7 * DAY,
        description="After this many seconds the task is killed (failure class app).",
    )
    tasks_per_child: int = Field(
        default=100, ge=1, le=1_000_000, description="Runs after which a worker's child process is replaced."
    )


class Scaling(ApiModel):
    """How many worker pods there are."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.min <= self.max",
                "min must not exceed max: lower scaling.min or raise scaling.max",
                ".min",
            )
        )
    )
    min: int = Field(
        default=0, ge=0, le=1000, description="Fewest pods; 0 = none while there is nothing to do."
    )
    max: int = Field(default=1, ge=1, le=1000, description="Most pods.")
    target_per_replica: int = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description="Runs (waiting and running) one pod should have to itself.",
    )
    driver: Literal["Operator"] = Field(
        default="Operator", description="Who changes the number of pods: Operator = Rowlock itself."
    )
    cooldown_seconds: int = Field(
        default=60,
        ge=0,
        le=DAY,
        description="How long the need must stay lower before pods are taken away, in seconds.",
    )


class History(ApiModel):
    """How long ended runs stay visible."""

    succeeded_seconds: int = Field(
        default=DAY, ge=0, le=3650 * DAY, description="Succeeded and canceled runs, in seconds."
    )
    dead_seconds: int = Field(
        default=30 * DAY, ge=0, le=3650 * DAY, description="Dead and unknown runs, in seconds."
    )


class WorkQueueSpec(ApiModel):
    """What the user asks for."""

    # A schema cannot tell a default from a given value, hence the rules that compare with the default.
    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.mode == oldSelf.mode",
                "mode cannot be changed: create another WorkQueue and point the RowSources to it",
                ".mode",
            ),
            rule("!has(self.contract) || self.mode == 'Jobs'", f"contract {_JOBS_ONLY}", ".contract"),
            rule(
                f"{_EXIT} || (has(self.imports) && self.imports.size() > 0)",
                "imports is required: list the Python modules that register the tasks (only contract Exit"
                " needs none)",
                ".imports",
            ),
            rule(
                f"!{_EXIT} || !has(self.imports) || self.imports.size() == 0",
                "imports has no meaning with contract Exit, whose image is run as it is: remove it",
                ".imports",
            ),
            rule(
                f"!{_EXIT} || has(self.template.image)",
                "template.image is required with contract Exit: name the image to run",
                ".template",
            ),
            rule(
                f"{_EXIT} || !has(self.template.args)",
                "template.args is only for contract Exit: remove it",
                ".template",
            ),
            rule(
                f"{_EXIT} || !has(self.template.terminationGracePeriodSeconds)",
                "template.terminationGracePeriodSeconds is only for contract Exit: remove it (other pods go"
                " on for hardSeconds and 30 more)",
                ".template",
            ),
            rule(
                f"!{_EXIT} || !has(self.template.env) || !self.template.env.exists(e,"
                " e.name.startsWith('ROW_'))",
                "variables beginning with ROW_ carry the row's columns: rename the variable in template.env",
                ".template",
            ),
            rule(
                "!has(self.replicas) || self.mode == 'Workers'",
                "replicas is only for mode Workers: remove it and use parallelism",
                ".replicas",
            ),
            rule(
                "self.mode == 'Workers' || self.processesPerPod == 1",
                "processesPerPod is only for mode Workers: remove it",
                ".processesPerPod",
            ),
            rule(
                "self.mode == 'Workers' || (self.scaling.min == 0 && self.scaling.max == 1 &&"
                " self.scaling.targetPerReplica == 10 && self.scaling.cooldownSeconds == 60)",
                "scaling is only for mode Workers: remove it and use parallelism",
                ".scaling",
            ),
            rule(
                "self.mode == 'Jobs' || self.parallelism == 10",
                f"parallelism {_JOBS_ONLY}; use scaling instead",
                ".parallelism",
            ),
            rule(
                "self.mode == 'Jobs' || self.startingDeadlineSeconds == 300",
                f"startingDeadlineSeconds {_JOBS_ONLY}",
                ".startingDeadlineSeconds",
            ),
            rule(
                "self.mode == 'Jobs' || self.ttlSeconds == 600",
                f"ttlSeconds {_JOBS_ONLY}; use history instead",
                ".ttlSeconds",
            ),
            rule(
                f"{_EXIT} || self.rowDelivery == 'Annotation'",
                "rowDelivery Secret is only for contract Exit: remove it",
                ".rowDelivery",
            ),
        )
    )
    mode: Literal["Workers", "Jobs"] = Field(
        default="Workers",
        description=(
            "Workers: warm worker pods take many runs. Jobs: one Kubernetes Job a run. Cannot be changed."
        ),
    )
    contract: Literal["Sdk", "Exit"] | None = Field(
        default=None,
        description=(
            "Mode Jobs only. Sdk (default): the pod runs registered tasks. Exit: any image; exit code 0 is"
            " success."
        ),
    )
    database_ref: DatabaseRef | None = Field(
        default=None, description="Secret with the database's URLs. Default: the installation's."
    )
    imports: list[ModuleName] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra=SET,
        description="Python modules that register tasks; required unless contract is Exit.",
    )
    tasks: list[TaskName] = Field(
        min_length=1,
        max_length=200,
        json_schema_extra=SET,
        description="Names of the tasks this queue may run; anything else is refused.",
    )
    template: PodTemplate = Field(default_factory=PodTemplate, description="How the pods look.")
    processes_per_pod: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Mode Workers: worker processes in one pod, one run each at a time.",
    )
    limits: Limits = Field(default_factory=Limits, description="Bounds of one run.")
    retry: Retry = Field(default_factory=Retry, description="Retry budgets per failure class.")
    scaling: Scaling = Field(default_factory=Scaling, description="Mode Workers: how many pods.")
    parallelism: int = Field(default=10, ge=1, le=10_000, description="Mode Jobs: Kubernetes Jobs at once.")
    starting_deadline_seconds: int = Field(
        default=300,
        ge=5,
        le=DAY,
        description=(
            "Mode Jobs: a pod that has not started after this many seconds is given up; its run waits, and"
            " uses no try."
        ),
    )
    row_delivery: Literal["Annotation", "Secret"] = Field(
        default="Annotation",
        description=(
            "Contract Exit: the row reaches the pod by an annotation, or by a Secret where its values are"
            " confidential."
        ),
    )
    history: History = Field(default_factory=History, description="How long ended runs stay visible.")
    ttl_seconds: int = Field(
        default=600,
        ge=0,
        le=7 * DAY,
        description=(
            "Mode Jobs: Rowlock deletes a Kubernetes Job once its outcome is recorded; where it may not,"
            " Kubernetes does so this many seconds after its end. It is set only then: a Job never goes"
            " before its outcome is known."
        ),
    )
    suspend: bool = Field(default=False, description="true: nothing new is started; what runs may finish.")
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="Mode Workers: fixed number of pods (kubectl scale, an HPA). Absent: decided by scaling.",
    )

    @property
    def is_workers(self) -> bool:
        """Warm workers take the runs."""
        return self.mode == "Workers"

    @property
    def is_exit(self) -> bool:
        """One kube job a run, of any image; the operator holds the fences."""
        return self.mode == "Jobs" and self.contract == "Exit"


class WorkQueue(UserObject):
    """How the work of one queue is executed: by warm workers or by one Kubernetes Job a run."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.metadata.name.size() <= 50 && !self.metadata.name.contains('.')",
                "the name of a WorkQueue must have at most 50 characters and no dot, since labels and pods"
                " carry it: choose a shorter one",
            )
        )
    )
    spec: WorkQueueSpec
    status: WorkQueueStatus = Field(default_factory=WorkQueueStatus)
