"""The Deployment of a WorkQueue's warm workers, and how its replicas are set."""

from rowlock_operator.api.labels import worker_deployment_name, worker_labels, worker_selector
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.fingerprint import with_fingerprint
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.owners import owner_reference
from rowlock_operator.desired.pods import (
    child_labels,
    database_volume,
    pod_spec,
    pod_template,
    secret_mount,
    secret_volume,
    tmp_mounts,
    tmp_volumes,
    variable,
    worker_container,
    worker_env,
)


def build_worker_deployment(*, queue: WorkQueue, installation: Installation) -> Manifest:
    """What is applied. It never holds spec.replicas: scaling owns that through /scale, and an apply would
    undo it.
    """
    name = queue.metadata.name
    return with_fingerprint(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": worker_deployment_name(name),
                "namespace": queue.metadata.namespace,
                "labels": child_labels(queue, installation, worker_labels(name)),
                "ownerReferences": [owner_reference(queue.metadata)],
            },
            "spec": {
                "selector": {"matchLabels": worker_selector(name)},
                "revisionHistoryLimit": 2,
                # New workers come before old ones go; an old one ends its run first
                # (terminationGracePeriodSeconds).
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
                },
                "template": pod_template(worker_labels(name), queue, installation, _pod(queue, installation)),
            },
        }
    )


def build_first_worker_deployment(*, queue: WorkQueue, installation: Installation, replicas: int) -> Manifest:
    """What is POSTed where there is none yet: without a number Kubernetes would start one pod for a queue
    that is empty.
    """
    manifest = build_worker_deployment(queue=queue, installation=installation)
    return {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}


def _pod(queue: WorkQueue, installation: Installation) -> Manifest:
    template = queue.spec.template
    container = worker_container(
        queue,
        installation,
        args=["run"],
        env=[
            *worker_env(queue),
            variable("ROWLOCK_REDIS_URL_FILE", "/var/run/rowlock/redis/url"),
            variable("ROWLOCK_PROCESSES", queue.spec.processes_per_pod),
        ],
        mounts=[
            secret_mount("rowlock-database", "database"),
            secret_mount("rowlock-redis", "redis"),
            *tmp_mounts(template),
        ],
    )
    volumes = [
        database_volume(queue, installation),
        secret_volume("rowlock-redis", secret=installation.redis_secret, key=installation.redis_key),
        *tmp_volumes(template, installation),
    ]
    return pod_spec(
        queue, container=container | _probes(), volumes=volumes, counted=worker_selector(queue.metadata.name)
    )


def _probes() -> Manifest:
    """Started only once a parent loop runs: a worker that cannot import its tasks never counts as one. Killed
    after a minute without.

    Ready only while it can take work: one that waits for Redis or PostgreSQL is not, and is not killed
    either, since that helps nobody.
    """
    return {
        "startupProbe": _probe("alive", period_seconds=2, failures=60),
        "readinessProbe": _probe("ready", period_seconds=10, failures=3),
        "livenessProbe": _probe("alive", period_seconds=20, failures=3),
    }


def _probe(question: str, *, period_seconds: int, failures: int) -> Manifest:
    command = ["rowlock-worker", question]
    return {
        "exec": {"command": command},
        "timeoutSeconds": 10,
        "periodSeconds": period_seconds,
        "failureThreshold": failures,
    }
