"""The curated part of a pod that a user may set: what workers need, and nothing that would break the
fences.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from rowlock_operator.api.model import (
    ATOMIC,
    DAY,
    OPEN,
    ApiModel,
    DnsLabel,
    DnsName,
    keyed,
    rule,
    rules,
    shaped,
)

# What we set ourselves: a user's value here would cut a worker off from its queue or let it start the wrong
# run.
RESERVED_ENV = (
    "ROWLOCK_DATABASE_URL",
    "ROWLOCK_DATABASE_URL_FILE",
    "ROWLOCK_REDIS_URL",
    "ROWLOCK_REDIS_URL_FILE",
    "ROWLOCK_QUEUE",
    "ROWLOCK_IMPORTS",
    "ROWLOCK_TASKS",
    "ROWLOCK_TASK",
    "ROWLOCK_PROCESSES",
    "ROWLOCK_SOFT_SECONDS",
    "ROWLOCK_HARD_SECONDS",
    "ROWLOCK_TASKS_PER_CHILD",
    "ROWLOCK_RUN_ID",
    "ROWLOCK_ATTEMPT",
    "ROWLOCK_ROW_FILE",
    "ROWLOCK_ROW_FILE_ONLY",
)

Quantity = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]
Labels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)]
Argument = Annotated[str, Field(max_length=4096)]
_ENV_ADVICE = "use letters, digits, '_', '-' and '.', not beginning with a digit"
_OURS = "k.startsWith('rowlock.dev/') || k == 'app.kubernetes.io/managed-by'"


class PodMetadata(ApiModel):
    """Labels and annotations of the pods, so that a Kueue queue name or a cost centre passes through."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.labels) || !self.labels.exists(k, {_OURS})",
                "labels beginning with rowlock.dev/ and app.kubernetes.io/managed-by are Rowlock's own:"
                " remove them",
                ".labels",
            ),
            rule(
                "!has(self.annotations) || !self.annotations.exists(k, k.startsWith('rowlock.dev/'))",
                "annotations beginning with rowlock.dev/ are Rowlock's own: remove them",
                ".annotations",
            ),
        )
    )
    labels: Labels = Field(
        default_factory=dict, description="Labels of the pods (and of their Deployment or kube jobs)."
    )
    annotations: Annotations = Field(default_factory=dict, description="Annotations of the pods.")


class KeySelector(ApiModel):
    """One key of a Secret or ConfigMap."""

    name: DnsName = Field(description="Name of the Secret or ConfigMap, in the same namespace.")
    key: str = Field(min_length=1, max_length=253, description="The key in it.")
    optional: bool | None = Field(default=None, description="Start the pod even where it is missing.")


class FieldSelector(ApiModel):
    """A field of the pod."""

    field_path: str = Field(min_length=1, max_length=253, description="For example metadata.name.")


class ResourceSelector(ApiModel):
    """A resource bound of the container."""

    container_name: str | None = Field(
        default=None, max_length=63, description="Container; the own one where absent."
    )
    resource: str = Field(min_length=1, max_length=63, description="For example limits.memory.")
    divisor: Quantity | None = Field(default=None, description="Unit of the value, for example 1Mi.")


class EnvSource(ApiModel):
    """Where a variable's value comes from; exactly one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef),"
                " has(self.resourceFieldRef)].filter(given, given).size() == 1",
                "give exactly one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef",
            )
        )
    )
    secret_key_ref: KeySelector | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: KeySelector | None = Field(default=None, description="A key of a ConfigMap.")
    field_ref: FieldSelector | None = Field(default=None, description="A field of the pod.")
    resource_field_ref: ResourceSelector | None = Field(
        default=None, description="A resource bound of the container."
    )


class EnvVar(ApiModel):
    """One environment variable."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.value) && has(self.valueFrom))",
                "give either value or valueFrom, not both: remove one of them",
            ),
            rule(
                f"!(self.name in {list(RESERVED_ENV)!r})",
                "this variable is set by Rowlock from the other fields of the spec: remove it here",
                ".name",
            ),
        )
    )
    name: Annotated[str, shaped(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", _ENV_ADVICE, at_most=253)] = Field(
        description="Name of the variable."
    )
    value: str | None = Field(
        default=None, max_length=32768, description="Its value; never a secret, use valueFrom for those."
    )
    value_from: EnvSource | None = Field(default=None, description="Where the value comes from.")


class EnvFromSource(ApiModel):
    """All keys of a Secret or ConfigMap as variables."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.secretRef) != has(self.configMapRef)",
                "give exactly one of secretRef and configMapRef",
            )
        )
    )
    prefix: str | None = Field(default=None, max_length=63, description="Put before each name.")
    secret_ref: "NameReference | None" = Field(default=None, description="A Secret.")
    config_map_ref: "NameReference | None" = Field(default=None, description="A ConfigMap.")


class NameReference(ApiModel):
    """An object of the same namespace, by name."""

    name: DnsName = Field(description="Name of the object.")
    optional: bool | None = Field(default=None, description="Start the pod even where it is missing.")


class PullSecret(ApiModel):
    """A Secret with credentials of an image registry."""

    name: DnsName = Field(description="Name of the Secret.")


class Resources(ApiModel):
    """CPU and memory of the container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = Field(
        default=None, description="What is reserved."
    )
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = Field(
        default=None, description="What is never exceeded."
    )


class Toleration(ApiModel):
    """A taint the pods put up with."""

    key: str | None = Field(
        default=None,
        max_length=316,
        description="Key of the taint; absent with operator Exists: every taint.",
    )
    operator: Literal["Equal", "Exists"] | None = Field(default=None, description="How value is compared.")
    value: str | None = Field(default=None, max_length=63, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, description="How long a NoExecute taint is put up with, in seconds."
    )


class TopologySpread(ApiModel):
    """How the pods spread over nodes or zones; what is not named here is passed through as given."""

    model_config = ConfigDict(extra="allow", json_schema_extra=OPEN)
    max_skew: int = Field(ge=1, le=1_000_000, description="By how many pods two places may differ.")
    topology_key: str = Field(
        min_length=1,
        max_length=316,
        description="Label of nodes that names the place, such as kubernetes.io/hostname.",
    )
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="What becomes of a pod that would break it."
    )
    label_selector: dict[str, Any] | None = Field(
        default=None,
        json_schema_extra=OPEN,
        description="Which pods are counted. Default: those of this WorkQueue.",
    )


class Volume(ApiModel):
    """A volume as Kubernetes knows it; its source is passed through as given."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPEN
        | rules(
            rule(
                "!self.name.startsWith('rowlock-')",
                "volume names beginning with rowlock- are Rowlock's own: choose another",
                ".name",
            )
        ),
    )
    name: DnsLabel = Field(description="Name of the volume.")


class VolumeMount(ApiModel):
    """Where a volume appears in the container."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPEN
        | rules(
            rule(
                "!(self.mountPath == '/var/run/rowlock' || self.mountPath.startsWith('/var/run/rowlock/'))",
                "/var/run/rowlock is where Rowlock mounts its own files: choose another path",
                ".mountPath",
            )
        ),
    )
    name: str = Field(min_length=1, max_length=63, description="Name of the volume.")
    mount_path: Annotated[str, shaped(r"^/", "use an absolute path, beginning with /", at_most=1024)] = Field(
        description="Absolute path in the container."
    )


class PodTemplate(ApiModel):
    """How the pods of a queue look."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) &&"
                " self.volumes.exists(v, v.name == m.name))",
                "every entry of volumeMounts must name a volume: add the missing one to volumes or correct"
                " the name",
                ".volumeMounts",
            )
        )
    )
    metadata: PodMetadata = Field(
        default_factory=PodMetadata, description="Labels and annotations of the pods."
    )
    image: (
        Annotated[
            str,
            shaped(
                r"^[^\s]+$",
                "use an image reference without blanks, for example registry.example/shop:1",
                at_most=1024,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description=(
            "Container image. Default: the worker image of the installation; required for contract Exit."
        ),
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="When the image is pulled. Default: the installation's."
    )
    command: list[Argument] | None = Field(
        default=None,
        max_length=64,
        json_schema_extra=ATOMIC,
        description=(
            "Entry point. Default: the image's own, which must be rowlock-worker unless contract is Exit."
        ),
    )
    args: list[Argument] | None = Field(
        default=None,
        max_length=256,
        json_schema_extra=ATOMIC,
        description="Arguments; only for contract Exit.",
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        max_length=100,
        json_schema_extra=keyed("name"),
        description="Further environment variables.",
    )
    env_from: list[EnvFromSource] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra=ATOMIC,
        description="Secrets and ConfigMaps whose keys become variables.",
    )
    resources: Resources | None = Field(
        default=None,
        description="CPU, memory and ephemeral storage. What is not given comes from the installation.",
    )
    volumes: list[Volume] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra=keyed("name"),
        description="Volumes, as in a pod.",
    )
    volume_mounts: list[VolumeMount] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra=keyed("mountPath"),
        description="Where the volumes are mounted.",
    )
    node_selector: Labels = Field(default_factory=dict, description="Labels a node must have.")
    tolerations: list[Toleration] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra=ATOMIC,
        description="Taints the pods put up with.",
    )
    affinity: dict[str, Any] | None = Field(
        default=None, json_schema_extra=OPEN, description="Affinity, as in a pod."
    )
    topology_spread_constraints: list[TopologySpread] = Field(
        default_factory=list, max_length=16, json_schema_extra=keyed("topologyKey", "whenUnsatisfiable"),
        description="How the pods spread over nodes and zones, as in a pod.",
    )  # fmt: skip
    scheduler_name: DnsName | None = Field(
        default=None, description="Scheduler of the pods. Default: the cluster's."
    )
    runtime_class_name: DnsName | None = Field(
        default=None,
        description=(
            "RuntimeClass of the pods, for example a sandbox for images of others. Default: the cluster's."
        ),
    )
    termination_grace_period_seconds: int | None = Field(
        default=None,
        ge=1,
        le=DAY,
        description=(
            "Contract Exit only: how long the pod may go on after SIGTERM, so also past hardSeconds. Not 0:"
            " Kubernetes then forgets the pod at once, and its run might run twice. Default: 30. Pods of ours"
            " have hardSeconds and 30 more."
        ),
    )
    service_account_name: DnsName | None = Field(
        default=None,
        description=(
            "Service account of the pods; its token is not mounted. Default: the namespace's default."
        ),
    )
    image_pull_secrets: list[PullSecret] = Field(
        default_factory=list,
        max_length=16,
        json_schema_extra=keyed("name"),
        description="Secrets for the image registry.",
    )
    priority_class_name: DnsName | None = Field(default=None, description="PriorityClass of the pods.")
    security_context: dict[str, Any] | None = Field(
        default=None, json_schema_extra=OPEN,
        description="Security context of the container, laid over the restricted default key by key.",
    )  # fmt: skip
    pod_security_context: dict[str, Any] | None = Field(
        default=None, json_schema_extra=OPEN,
        description="Security context of the pod, laid over the restricted default key by key.",
    )  # fmt: skip


EnvFromSource.model_rebuild()
