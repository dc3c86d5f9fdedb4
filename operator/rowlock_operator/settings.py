"""Everything that can be set from the environment, in one table; nothing else reads the environment for
settings.

The environment is text: `load()` turns it into frozen groups and says in a sentence which variable is wrong
and what it may be.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

ALL_NAMESPACES = "*"
G = TypeVar("G")


class BadSetting(ValueError):
    """A variable of the environment has a value we cannot use; the sentence names it."""


def _text(value: str) -> str:
    return value


def _names(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


def _between(low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:  # also refuses nan
            raise ValueError(f"a number of {unit} from {low:g} to {high:g}")
        return number

    return parse


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError("a port from 1 to 65535")
    return int(value)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return value

    return parse


_QUANTITY = re.compile(r"[0-9]+([.][0-9]+)?([eE][0-9]+|[KMGTPE]i|[mkMGTPE])?")
_RESOURCES = (
    '{"limits": {"cpu": "4", "memory": "2Gi"}, "requests": {"cpu": "10m", "ephemeral-storage": "64Mi",'
    ' "memory": "64Mi"}}'
)


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError("a quantity such as 512Mi or 1Gi")
    return value


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_resources(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"requests", "limits"}
        and all(isinstance(amounts, dict) for amounts in value.values())
        and all(_QUANTITY.fullmatch(str(amount)) for amounts in value.values() for amount in amounts.values())
    )


def _json_of(what: str, fits: Callable[[Any], bool]) -> Callable[[str], str]:
    """Kept as text, so that settings stay values that cannot be changed."""

    def parse(value: str) -> str:
        try:
            given = json.loads(value)
        except ValueError:
            given = None
        if not fits(given):
            raise ValueError(f"{what} as a JSON object")
        return json.dumps(given, sort_keys=True)

    return parse


def _env(variable: str, default: Any, parse: Callable[[str], Any] = _text, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"variable": variable, "parse": parse, "secret": secret})


@dataclass(frozen=True)
class PodSettings:
    """Who this process is; given by the downward API."""

    name: str = _env("POD_NAME", "rowlock-operator")
    """Identity in the Lease and in Events, with a random part added."""
    namespace: str = _env("POD_NAMESPACE", "default")
    """Where our Lease lives, and what is watched by default."""
    release: str = _env("ROWLOCK_RELEASE", "rowlock")
    """Name of the installed release; with the namespace, who we are to other releases that watch the same
    namespaces.
    """


@dataclass(frozen=True)
class WatchSettings:
    """What we look at."""

    namespaces: tuple[str, ...] = _env("ROWLOCK_WATCH_NAMESPACES", (), _names)
    """Empty: the operator's own namespace, so that a namespaced Role suffices; `*`: all namespaces, which
    needs a ClusterRole.
    """


@dataclass(frozen=True)
class StoreSettings:
    """Where the database and Redis are."""

    database_secret: str = _env("ROWLOCK_DATABASE_SECRET", "rowlock-database")
    """Secret used by WorkQueues without a databaseRef; keys `url` (operator) and `workerUrl` (workers)."""
    redis_secret: str = _env("ROWLOCK_REDIS_SECRET", "rowlock-redis")
    """Secret mounted into worker pods; key `url`."""
    redis_url_file: str = _env("ROWLOCK_REDIS_URL_FILE", "/var/run/rowlock/redis/url")
    """File with the operator's own Redis URL: a file, because an environment variable shows in `kubectl
    describe`.
    """
    encryption_keys_file: str = _env("ROWLOCK_ENCRYPTION_KEYS_FILE", "/var/run/rowlock/encryption/keys")
    """Fernet keys, one a line, the first in use: logins of MonitoringProcesses are in the database only
    encrypted.
    """


@dataclass(frozen=True)
class WorkerSettings:
    """What worker pods are made of."""

    image: str = _env("ROWLOCK_WORKER_IMAGE", "")
    """Image of worker pods whose template names none; empty: a template must name one."""
    image_pull_policy: str = _env(
        "ROWLOCK_WORKER_IMAGE_PULL_POLICY", "IfNotPresent", _one_of("IfNotPresent", "Always", "Never")
    )
    """IfNotPresent: a pod starts at once on a node that has the image."""
    resources: str = _env(
        "ROWLOCK_WORKER_RESOURCES", _RESOURCES, _json_of("requests and limits", _is_resources)
    )
    """Of containers whose template does not say; JSON. Small requests: what is asked for and not used keeps
    others from a node.
    """
    tmp_size: str = _env("ROWLOCK_WORKER_TMP_SIZE", "1Gi", _quantity)
    """Bound of the /tmp that worker pods get; a pod that fills more is evicted."""
    labels: str = _env("ROWLOCK_COMMON_LABELS", "{}", _json_of("labels", _are_texts))
    """Of every Deployment, Job and pod made for a WorkQueue; JSON."""
    pod_labels: str = _env("ROWLOCK_POD_LABELS", "{}", _json_of("labels", _are_texts))
    """Of every pod made for a WorkQueue, besides; JSON."""
    pod_annotations: str = _env("ROWLOCK_POD_ANNOTATIONS", "{}", _json_of("annotations", _are_texts))
    """Of every pod made for a WorkQueue; JSON."""


@dataclass(frozen=True)
class ServerSettings:
    """How the process shows itself."""

    http_port: int = _env("ROWLOCK_HTTP_PORT", 8080, _port)
    """/livez, /readyz and /metrics; over 1024, because the container is not root."""
    log_format: str = _env("ROWLOCK_LOG_FORMAT", "json", _one_of("json", "text"))
    """json in a cluster, text on a terminal."""


@dataclass(frozen=True)
class LeaderSettings:
    """Which of the replicas works."""

    lease_seconds: float = _env("ROWLOCK_LEASE_SECONDS", 15.0, _between(4, 300, "seconds"))
    """How long nobody works after a leader's crash; shorter means more often a change of leader on a slow API
    server.
    """

    @property
    def renew_deadline_seconds(self) -> float:
        """Two thirds of the lease, as client-go has it (10 of 15 s)."""
        return self.lease_seconds * 2 / 3

    @property
    def retry_seconds(self) -> float:
        """2 of 15 s."""
        return self.lease_seconds * 2 / 15


@dataclass(frozen=True)
class PollSettings:
    """How often the dispatcher looks at the tables; the poll is the truth, NOTIFY only a hint."""

    busy_ms: float = _env("ROWLOCK_POLL_BUSY_MS", 20.0, _between(1, 60_000, "milliseconds"))
    """While work is coming: one cheap statement (73 us) for all sources of a database."""
    idle_ms: float = _env("ROWLOCK_POLL_IDLE_MS", 50.0, _between(1, 60_000, "milliseconds"))
    """While nothing is waiting: the longest a new row waits unseen."""


@dataclass(frozen=True)
class KubeJobSettings:
    """What kube jobs may cost the cluster."""

    queue_write_mib: float = _env("ROWLOCK_QUEUE_WRITE_MIB", 192.0, _between(0, 1_000_000, "MiB"))
    """Put into the API server by the kube jobs of one WorkQueue within five minutes, which etcd keeps for up
    to ten; 0 = no bound.
    """
    total_write_mib: float = _env("ROWLOCK_TOTAL_WRITE_MIB", 512.0, _between(0, 1_000_000, "MiB"))
    """The same by all together: twice this is half of the 2 GiB that etcd holds by default; 0 = no bound."""


@dataclass(frozen=True)
class Settings:
    """All groups."""

    pod: PodSettings = field(default_factory=PodSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    stores: StoreSettings = field(default_factory=StoreSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    leader: LeaderSettings = field(default_factory=LeaderSettings)
    poll: PollSettings = field(default_factory=PollSettings)
    kube_jobs: KubeJobSettings = field(default_factory=KubeJobSettings)

    @property
    def watched_namespaces(self) -> tuple[str | None, ...]:
        """The namespaces to watch; (None,) means all of them."""
        if ALL_NAMESPACES in self.watch.namespaces:
            return (None,)
        return self.watch.namespaces or (self.pod.namespace,)

    def describe(self) -> dict[str, str]:
        """Variable -> present value as text, without secrets; printed once at the start."""
        return {
            entry.metadata["variable"]: "(set)" if entry.metadata["secret"] and value else _shown(value)
            for group in (getattr(self, each.name) for each in fields(self))
            for entry in fields(group)
            for value in (getattr(group, entry.name),)
        }


def variables() -> dict[str, Any]:
    """Variable -> default, of every setting; what the chart and the documentation are compared with."""
    return {
        entry.metadata["variable"]: entry.default for group in _groups().values() for entry in fields(group)
    }


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from the environment; an empty or absent variable means the default. Raises BadSetting."""
    if environment.get("RQ_KEY_PREFIX", "rq") != "rq":
        raise BadSetting(
            f"the environment variable RQ_KEY_PREFIX is {environment['RQ_KEY_PREFIX']!r}, but runs are pushed"
            " to keys that begin with rq: whatever it says, and workers refuse another one: unset it, and"
            " keep installations that share a Redis apart by the number of the database in its URL"
        )
    return Settings(**{name: _load_group(group, environment) for name, group in _groups().items()})


def _groups() -> dict[str, type[Any]]:
    return get_type_hints(Settings)


def _load_group(group: type[G], environment: Mapping[str, str]) -> G:
    values: dict[str, Any] = {}
    for entry in fields(group):  # type: ignore[arg-type]
        variable = entry.metadata["variable"]
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            values[entry.name] = entry.metadata["parse"](text)
        except ValueError as error:
            shown = "its value" if entry.metadata["secret"] else repr(text)
            raise BadSetting(f"the environment variable {variable} is {shown}, but must be {error}") from None
    return group(**values)


def _shown(value: Any) -> str:
    return (
        ",".join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
