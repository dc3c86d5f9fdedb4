"""The parts every pod of ours shares: the user's template, our environment, Secrets as files, the restricted
contexts.
"""

from typing import Any

from rowlock_operator.api.labels import CONTAINER, NAME
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.pod_template import PodTemplate
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.resources import merged_resources
from rowlock_operator.desired.security import container_security, foreign_pod_security, pod_security

SECRETS_FOLDER = "/var/run/rowlock"
# How long a run may go on after SIGTERM, and then the worker's own end.
GRACE_AFTER_HARD_SECONDS = 30
# Nobody but Kubernetes ends an image that is not ours: a longer grace would let it run past its hard limit.
FOREIGN_GRACE_SECONDS = 30
# The cluster autoscaler keeps a node for an emptyDir of a pod, unless this names it.
EVICTABLE_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


def child_labels(queue: WorkQueue, installation: Installation, own: dict[str, str]) -> dict[str, str]:
    """Labels of a Deployment or Job; ours win over the user's, and the user's over the installation's. The
    name is for policies that ask for it; nothing of ours selects by it.
    """
    return {NAME: queue.metadata.name, **installation.labels, **queue.spec.template.metadata.labels, **own}


def pod_template(
    labels: dict[str, str],
    queue: WorkQueue,
    installation: Installation,
    pod: Manifest,
    annotations: dict[str, str] | None = None,
) -> Manifest:
    """`template` of a Deployment or Job; ours wins over the user's labels of the same name."""
    asked = queue.spec.template.metadata
    common = {NAME: queue.metadata.name, **installation.labels, **installation.pod_labels}
    metadata: Manifest = {"labels": {**common, **asked.labels, **labels}}
    merged = {**pod_annotations(queue, installation), **(annotations or {})}
    merged |= _evictable(pod["volumes"], merged.get(EVICTABLE_VOLUMES, ""))
    if merged:
        metadata["annotations"] = merged
    return {"metadata": metadata, "spec": pod}


def pod_annotations(queue: WorkQueue, installation: Installation) -> dict[str, str]:
    """Those that are asked for; the queue's own win."""
    return {**installation.pod_annotations, **queue.spec.template.metadata.annotations}


def _evictable(volumes: list[Manifest], named: str) -> dict[str, str]:
    """What an emptyDir holds is nobody's truth, since a run that is cut off is tried again elsewhere: it must
    not keep a node. Whoever wants that keeps the pod, by the annotation
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false".
    """
    names = [name.strip() for name in named.split(",") if name.strip()]
    # One in memory keeps no node by itself.
    local = [
        volume["name"]
        for volume in volumes
        if (volume.get("emptyDir") or {}).get("medium") != "Memory" and "emptyDir" in volume
    ]
    every = dict.fromkeys([*names, *local])
    return {EVICTABLE_VOLUMES: ",".join(every)} if local else {}


def pod_spec(
    queue: WorkQueue, *, container: Manifest, volumes: list[Manifest], counted: dict[str, str]
) -> Manifest:
    """The pod around one container, as the template asks; `counted` are the labels by which its like are
    spread.
    """
    template = queue.spec.template
    return _given(
        {
            "automountServiceAccountToken": False,
            # A Service called rowlock-database would otherwise put ROWLOCK_DATABASE_... into the environment.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _grace_seconds(queue),
            "securityContext": _pod_security(queue),
            "containers": [container],
            "volumes": [*volumes, *_as_given(template.volumes)],
            "nodeSelector": template.node_selector,
            "tolerations": _as_given(template.tolerations),
            "affinity": template.affinity,
            "topologySpreadConstraints": [
                {"labelSelector": {"matchLabels": counted}, **one}
                for one in _as_given(template.topology_spread_constraints)
            ],
            "schedulerName": template.scheduler_name,
            "runtimeClassName": template.runtime_class_name,
            "serviceAccountName": template.service_account_name,
            "imagePullSecrets": _as_given(template.image_pull_secrets),
            "priorityClassName": template.priority_class_name,
        }
    )


def _grace_seconds(queue: WorkQueue) -> int:
    if queue.spec.is_exit:
        return queue.spec.template.termination_grace_period_seconds or FOREIGN_GRACE_SECONDS
    return queue.spec.limits.hard_seconds + GRACE_AFTER_HARD_SECONDS


def _pod_security(queue: WorkQueue) -> Manifest:
    security = foreign_pod_security if queue.spec.is_exit else pod_security
    return security(queue.spec.template.pod_security_context)


def worker_container(
    queue: WorkQueue,
    installation: Installation,
    *,
    args: list[str],
    env: list[Manifest],
    mounts: list[Manifest],
) -> Manifest:
    """A container of the worker image: read-only root, /tmp in memory's stead."""
    template = queue.spec.template
    return _container(
        queue,
        installation,
        image=template.image or installation.worker_image,
        pull_policy=template.image_pull_policy
        or (None if template.image else installation.worker_image_pull_policy),
        args=args,
        env=env,
        mounts=mounts,
        read_only_root=True,
    )


def foreign_container(
    queue: WorkQueue, installation: Installation, *, env: list[Manifest], mounts: list[Manifest]
) -> Manifest:
    """A container of any image, run as it is. Its root stays writable: an image that is not ours may need
    that.
    """
    template = queue.spec.template
    return _container(
        queue,
        installation,
        image=template.image or "",
        pull_policy=template.image_pull_policy,
        args=template.args,
        env=env,
        mounts=mounts,
        read_only_root=False,
    )


def _container(
    queue: WorkQueue,
    installation: Installation,
    *,
    image: str,
    pull_policy: str | None,
    args: list[str] | None,
    env: list[Manifest],
    mounts: list[Manifest],
    read_only_root: bool,
) -> Manifest:
    template = queue.spec.template
    return _given(
        {
            "name": CONTAINER,
            "image": image,
            "imagePullPolicy": pull_policy,
            "command": template.command,
            "args": args,
            "env": [*env, *_as_given(template.env)],
            "envFrom": _as_given(template.env_from),
            "resources": merged_resources(template.resources, installation.resources),
            "securityContext": container_security(
                template.security_context, pod=_pod_security(queue), read_only_root=read_only_root
            ),
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
    secret, key = (
        (reference.secret_name, reference.worker_key)
        if reference
        else (installation.database_secret, "workerUrl")
    )
    return secret_volume("rowlock-database", secret=secret, key=key)


def secret_volume(name: str, *, secret: str, key: str) -> Manifest:
    """One key of a Secret as the file `url`."""
    return {
        "name": name,
        "secret": {"secretName": secret, "defaultMode": 0o440, "items": [{"key": key, "path": "url"}]},
    }


def secret_mount(name: str, folder: str) -> Manifest:
    """Where the file `url` of such a volume appears."""
    return {"name": name, "mountPath": f"{SECRETS_FOLDER}/{folder}", "readOnly": True}


def tmp_volumes(template: PodTemplate, installation: Installation) -> list[Manifest]:
    """A writable /tmp, unless the user mounts one; bounded, since it fills the disk of the node for everybody
    on it.
    """
    return (
        []
        if _mounts_tmp(template)
        else [{"name": "rowlock-tmp", "emptyDir": {"sizeLimit": installation.tmp_size}}]
    )


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
