"""What the installation, not the WorkQueue, decides about its pods."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowlock_operator.settings import Settings, WorkerSettings

_DEFAULT = WorkerSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Names of Secrets, the default image, and what every pod gets; from the operator's settings."""

    worker_image: str
    worker_image_pull_policy: str | None = None
    database_secret: str = "rowlock-database"
    redis_secret: str = "rowlock-redis"
    redis_key: str = "url"
    labels: Mapping[str, str] = field(default_factory=dict)  # of every Deployment, Job and pod
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    # requests and limits of containers whose WorkQueue does not say
    resources: Mapping[str, Any] = field(default_factory=lambda: json.loads(_DEFAULT.resources))
    tmp_size: str = _DEFAULT.tmp_size


def installation_of(settings: Settings) -> Installation:
    """What the environment says of it."""
    worker = settings.worker
    return Installation(
        worker_image=worker.image,
        worker_image_pull_policy=worker.image_pull_policy,
        database_secret=settings.stores.database_secret,
        redis_secret=settings.stores.redis_secret,
        labels=json.loads(worker.labels),
        pod_labels=json.loads(worker.pod_labels),
        pod_annotations=json.loads(worker.pod_annotations),
        resources=json.loads(worker.resources),
        tmp_size=worker.tmp_size,
    )
