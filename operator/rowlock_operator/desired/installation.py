"""What the installation, not the WorkQueue, decides about its pods."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Names of Secrets and the default image; from the operator's settings."""

    worker_image: str
    worker_image_pull_policy: str | None = None
    database_secret: str = "rowlock-database"
    redis_secret: str = "rowlock-redis"
    redis_key: str = "url"
