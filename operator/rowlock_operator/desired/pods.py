"""The parts every pod of ours shares: the user's template, our environment, Secrets as files, the restricted contexts."""

from typing import Any

from rowlock_operator.api.pod_template import PodTemplate
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.names import CONTAINER
from rowlock_operator.desired.security import container_security, foreign_pod_security, pod_security

Manifest = dict[str, Any]

SECRETS_FOLDER = "/var/run/rowlock"
# How long a run may go on after SIGTERM, and then the worker's own end.
GRACE_AFTER_HARD_SECONDS = 30
# Nobody but Kubernetes ends an image that is not ours: a longer grace would let it run past its hard limit.
FOREIGN_GRACE_SECONDS = 30


def pod_template(labels: dict[str, str], template: PodTemplate, pod: Manifest, annotations: dict[str, str] | None = None) -> Manifest:
    """`template` of a Deployment or Job; ours wins over the user's labels of the same name."""
    metadata: Manifest = {"labels": {**template.metadata.labels, **labels}}
    merged = {**template.metadata.annotations, **(annotations or {})}
    if merged:
        metadata["annotations"] = merged
    return {"metadata": metadata, "spec": pod}


def pod_spec(queue: WorkQueue, *, container: Manifest, volumes: list[Manifest]) -> Manifest:
    """The pod around one container, as the template asks."""
    template = queue.spec.template
    security = foreign_pod_security if queue.spec.is_exit else pod_security
    return _given(
        {
            "automountServiceAccountToken": False,
            # A Service called rowlock-database would otherwise put ROWLOCK_DATABASE_... into the environment.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _grace_seconds(queue),
            "securityContext": security(template.pod_security_context),
            "containers": [container],
            "volumes": [*volumes, *_as_given(template.volumes)],
            "nodeSelector": template.node_selector,
            "tolerations": _as_given(template.tolerations),
            "affinity": template.affinity,
            "serviceAccountName": template.service_account_name,
            "imagePullSecrets": _as_given(template.image_pull_secrets),
            "priorityClassName": template.priority_class_name,
        }
    )


def _grace_seconds(queue: WorkQueue) -> int:
    return FOREIGN_GRACE_SECONDS if queue.spec.is_exit else queue.spec.limits.hard_seconds + GRACE_AFTER_HARD_SECONDS


def worker_container(
    queue: WorkQueue, installation: Installation, *, args: list[str], env: list[Manifest], mounts: list[Manifest]
) -> Manifest:
    """A container of the worker image: read-only root, /tmp in memory's stead."""
    template = queue.spec.template
    return _container(
        template,
        image=template.image or installation.worker_image,
        pull_policy=template.image_pull_policy or (None if template.image else installation.worker_image_pull_policy),
        args=args,
        env=env,
        mounts=mounts,
        security=container_security(template.security_context, read_only_root=True),
    )


def foreign_container(queue: WorkQueue, *, env: list[Manifest], mounts: list[Manifest]) -> Manifest:
    """A container of any image, run as it is. Its root stays writable: an image that is not ours may need that."""
    template = queue.spec.template
    return _container(
        template,
        image=template.image or "",
        pull_policy=template.image_pull_policy,
        args=template.args,
        env=env,
        mounts=mounts,
        security=container_security(template.security_context, read_only_root=False),
    )


def _container(
    template: PodTemplate,
    *,
    image: str,
    pull_policy: str | None,
    args: list[str] | None,
    env: list[Manifest],
    mounts: list[Manifest],
    security: Manifest,
) -> Manifest:
    return _given(
        {
            "name": CONTAINER,
            "image": image,
            "imagePullPolicy": pull_policy,
            "command": template.command,
            "args": args,
            "env": [*env, *_as_given(template.env)],
            "envFrom": _as_given(template.env_from),
            "resources": None if template.resources is None else template.resources.model_dump(by_alias=True, exclude_none=True),
            "securityContext": security,
            "volumeMounts": [*mounts, *_as_given(template.volume_mounts)],
        }
    )


def worker_env(queue: WorkQueue) -> list[Manifest]:
    """Environment of the worker image (contracts, section 3)."""
    spec = queue.spec
    return [
        variable("ROWLOCK_DATABASE_URL_FILE", f"{SECRETS_FOLDER}/database/url"),
        variable("ROWLOCK_QUEUE", queue.metadata.key),
        variable("ROWLOCK_IMPORTS", ",".join(spec.imports)),
        variable("ROWLOCK_TASKS", ",".join(spec.tasks)),
        variable("ROWLOCK_SOFT_SECONDS", spec.limits.soft_seconds),
        variable("ROWLOCK_HARD_SECONDS", spec.limits.hard_seconds),
        variable("ROWLOCK_TASKS_PER_CHILD", spec.limits.tasks_per_child),
    ]


def variable(name: str, value: object) -> Manifest:
    """A variable with a literal value."""
    return {"name": name, "value": str(value)}


def database_volume(queue: WorkQueue, installation: Installation) -> Manifest:
    """Only the worker role's URL: the operator's own must never reach a pod that runs tasks."""
    reference = queue.spec.database_ref
    secret, key = (reference.secret_name, reference.worker_key) if reference else (installation.database_secret, "workerUrl")
    return secret_volume("rowlock-database", secret=secret, key=key)


def secret_volume(name: str, *, secret: str, key: str) -> Manifest:
    """One key of a Secret as the file `url`."""
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440, "items": [{"key": key, "path": "url"}]}}


def secret_mount(name: str, folder: str) -> Manifest:
    """Where the file `url` of such a volume appears."""
    return {"name": name, "mountPath": f"{SECRETS_FOLDER}/{folder}", "readOnly": True}


def tmp_volumes(template: PodTemplate) -> list[Manifest]:
    """A writable /tmp, unless the user mounts one."""
    return [] if _mounts_tmp(template) else [{"name": "rowlock-tmp", "emptyDir": {}}]


def tmp_mounts(template: PodTemplate) -> list[Manifest]:
    """The mount of `tmp_volumes`."""
    return [] if _mounts_tmp(template) else [{"name": "rowlock-tmp", "mountPath": "/tmp"}]


def _mounts_tmp(template: PodTemplate) -> bool:
    return any(mount.mount_path.rstrip("/") == "/tmp" for mount in template.volume_mounts)


def _as_given(models: Any) -> list[Manifest]:
    return [model.model_dump(by_alias=True, exclude_none=True) for model in models]


def _given(manifest: Manifest) -> Manifest:
    """Without what nobody asked for: server-side apply owns only what it names."""
    return {key: value for key, value in manifest.items() if value not in (None, [], {}, "")}
