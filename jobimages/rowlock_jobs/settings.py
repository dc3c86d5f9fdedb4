"""Typed settings of a worker process, read from the environment once by `wiring`. Imports nothing of ours but
the error tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rowlock_jobs.errors import SettingsError
from rowlock_jobs.secret_files import Secret, find_secret
from rowlock_ledger.addresses import read_database_address, read_redis_address


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one attempt and the life of a child process."""

    soft_seconds: float = 300.0  # SoftTimeLimit is raised inside the task: time to tidy up
    hard_seconds: float = 600.0  # the child's process group is killed
    tasks_per_child: int = 100  # a fresh process bounds what leaking task code can hold
    cancel_grace_seconds: float = 10.0  # a canceled task that does not stop by itself is killed


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to hold runs. Ten seconds of silence and the sweep gives our runs away."""

    lease_seconds: float = 10.0
    renew_seconds: float = 3.0  # three renewals may fail before the lease lapses


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a worker process is told. URLs may hold passwords: they are never shown."""

    database: Secret
    queue: str
    imports: tuple[str, ...]
    tasks: tuple[str, ...]
    redis: Secret | None = None
    processes: int = 1
    limits: Limits = Limits()
    lease: Lease = Lease()
    grace_seconds: float = 600.0  # how long SIGTERM lets a run go on
    log_format: str = "json"
    alive_file: Path = Path("/tmp/rowlock-alive")
    run_id: str | None = None
    attempt: int | None = None

    @property
    def rq_queue(self) -> str:
        """RQ's name of the work queue: `<namespace>.<name>` (RQ's own tools split at slashes in URLs)."""
        return self.queue.replace("/", ".", 1)

    @property
    def database_url(self) -> str:
        """As its file says it now. Raises SettingsError."""
        return self.database.read()

    def require_redis(self) -> Secret:
        """Where the Redis URL is; SettingsError where none is set."""
        if not self.redis:
            raise SettingsError(
                "neither ROWLOCK_REDIS_URL_FILE nor ROWLOCK_REDIS_URL is set: a worker needs its queue"
            )
        return self.redis


def require_rq_keys(environ: Mapping[str, str]) -> None:
    """RQ takes the beginning of its keys from the environment when it is imported; the operator pushes to
    `rq:` whatever that says.

    Raises SettingsError for another one, before RQ is imported.
    """
    prefix = environ.get("RQ_KEY_PREFIX", "rq")
    if prefix != "rq":
        raise SettingsError(
            f"RQ_KEY_PREFIX is {prefix!r}: the operator pushes runs to keys that begin with rq:, so this"
            " worker would never see one; unset it, and keep installations that share a Redis apart by the"
            " number of the database in its URL"
        )


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Reads and checks the variables of docs/contracts.md section 3. Raises SettingsError naming the
    variable.
    """
    database = find_database(environ, "a worker needs the ledger")
    soft, hard = (
        _seconds(environ, "ROWLOCK_SOFT_SECONDS", 300.0),
        _seconds(environ, "ROWLOCK_HARD_SECONDS", 600.0),
    )
    if soft > hard:
        raise SettingsError(
            f"ROWLOCK_SOFT_SECONDS ({soft:g}) is above ROWLOCK_HARD_SECONDS ({hard:g}): the soft limit comes"
            " first"
        )
    log_format = environ.get("ROWLOCK_LOG_FORMAT") or "json"
    if log_format not in ("json", "text"):
        raise SettingsError(f"ROWLOCK_LOG_FORMAT is {log_format!r}: it is json or text")
    attempt = environ.get("ROWLOCK_ATTEMPT")
    return Settings(
        database=database,
        redis=find_secret(environ, "ROWLOCK_REDIS_URL", read_redis_address),
        queue=_queue(environ),
        imports=names(environ, "ROWLOCK_IMPORTS"),
        tasks=names(environ, "ROWLOCK_TASKS"),
        processes=_count(environ, "ROWLOCK_PROCESSES", 1),
        limits=Limits(
            soft,
            hard,
            _count(environ, "ROWLOCK_TASKS_PER_CHILD", 100),
            _seconds(environ, "ROWLOCK_CANCEL_GRACE_SECONDS", 10.0),
        ),
        grace_seconds=_seconds(environ, "ROWLOCK_GRACE_SECONDS", hard),
        log_format=log_format,
        alive_file=alive_file(environ),
        run_id=environ.get("ROWLOCK_RUN_ID") or None,
        attempt=_count(environ, "ROWLOCK_ATTEMPT", 1) if attempt else None,
    )


def alive_file(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("ROWLOCK_ALIVE_FILE") or "/tmp/rowlock-alive")


def find_database(environ: Mapping[str, str], why: str) -> Secret:
    """Where the database's address is; `why` ends the sentence where it is nowhere. Raises SettingsError."""
    database = find_secret(environ, "ROWLOCK_DATABASE_URL", read_database_address)
    if database is None:
        raise SettingsError(f"neither ROWLOCK_DATABASE_URL_FILE nor ROWLOCK_DATABASE_URL is set: {why}")
    return database


def _queue(environ: Mapping[str, str]) -> str:
    queue = environ.get("ROWLOCK_QUEUE", "")
    namespace, slash, name = queue.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise SettingsError(f"ROWLOCK_QUEUE is {queue!r}: it must be namespace/name")
    return queue


def names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A comma-separated variable."""
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise SettingsError(f"{name} is {text!r}: it must be a number of seconds above 0")
    return value


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name)
    try:
        value = int(text) if text else default
    except ValueError:
        value = 0
    if value < 1:
        raise SettingsError(f"{name} is {text!r}: it must be a whole number of at least 1")
    return value
