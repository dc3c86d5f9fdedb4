"""Every metric of the operator, with its labels and buckets, on a registry handed in."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rowlock_operator.telemetry.queue_gauges import QueueFigures, QueueGauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From one poll (20 ms) to minutes: a row waits milliseconds for a warm worker, half a minute for a pod.
WAIT_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
WORK_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)
# A metric that nobody reports could not be told from one that is well.
DUTIES = (
    "ledger lock",
    "claimer",
    "launcher",
    "kube job",
    "waiting room 1",
    "waiting room 2",
    "waiting room 3",
    "sweeper",
    "scribe",
    "depths",
    "figures",
    "leftovers",
    "auditor",
    "housekeeper",
    "watch",
)


class Metrics:
    """One instance a process. Labels: `queue` is `namespace/name` of a WorkQueue, `kind` a plural, `state`
    and `result` fixed words.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.row_to_start_seconds = self._histogram(
            "rowlock_row_to_start_seconds", "From a run being made to its start, first attempts.", ["queue"]
        )
        self.row_to_kube_job_seconds = self._histogram(
            "rowlock_row_to_kube_job_seconds",
            "From a run being made to its Kubernetes Job existing, first attempts.",
            ["queue"],
        )
        self.kube_job_to_running_seconds = self._histogram(
            "rowlock_kube_job_to_running_seconds",
            "From a Kubernetes Job being created to its container running.",
            ["queue"],
        )
        self.launches = self._counter(
            "rowlock_launches_total", "Creations of Kubernetes Jobs by result.", ["result"]
        )
        self.throttled = self._counter("rowlock_throttled_total", "Launches put off by a limit.", ["queue"])
        self.duplicate_prevented = self._counter(
            "rowlock_duplicate_prevented_total",
            "Starts or outcomes refused because they were somebody else's or done.",
            ["queue"],
        )
        self.runs_finished = self._counter(
            "rowlock_runs_finished_total", "Runs that ended, by final state.", ["queue", "state"]
        )
        self.left_alone = self._counter(
            "rowlock_outcomes_left_alone_total",
            "Outcomes not written, since the row said something else than the claimed value.",
            ["queue"],
        )
        self.dead_letter = self._counter(
            "rowlock_dead_letter_total", "Runs that ended dead or unknown and wait for a requeue.", ["queue"]
        )
        self.watch_last_event_age_seconds = self._gauge(
            "rowlock_watch_last_event_age_seconds",
            "Since the quietest watch of this kind last showed a sign of life.",
            ["kind"],
        )
        self.watch_repairs = self._counter(
            "rowlock_watch_repairs_total",
            "Changes that the resync found and the watch had not brought.",
            ["kind"],
        )
        self.reconcile_seconds = self._histogram(
            "rowlock_reconcile_seconds", "One look at one key.", ["kind"], WORK_BUCKETS
        )
        self.reconcile_errors = self._counter(
            "rowlock_reconcile_errors_total", "Looks that failed and are repeated.", ["kind"]
        )
        self.keys_waiting = self._gauge(
            "rowlock_reconcile_keys_waiting", "Keys that are ready or being looked at.", []
        )
        self.api_requests = self._counter(
            "rowlock_kube_requests_total",
            "Requests to the Kubernetes API by verb, resource and status.",
            ["verb", "resource", "status"],
        )
        self.api_request_seconds = self._histogram(
            "rowlock_kube_request_seconds",
            "Duration of requests to the Kubernetes API.",
            ["verb"],
            WORK_BUCKETS,
        )
        self.duty_failing = self._gauge(
            "rowlock_duty_failing",
            "1 while this duty of any database in use fails, or waits for a lock, for longer than a few"
            " seconds.",
            ["duty"],
        )
        for duty in DUTIES:
            self.duty_failing.labels(duty).set(0)
        self.duty_errors = self._counter(
            "rowlock_duty_errors_total", "Calls of duties that failed and are repeated.", ["duty"]
        )
        self.database_up = self._gauge(
            "rowlock_database_up", "1 while every database in use answers (in a standby always), else 0.", []
        )
        self.database_up.set(1)
        self.db_pool_in_use = self._gauge("rowlock_db_pool_in_use", "Database connections in use.", [])
        self.marks_without_run = self._gauge(
            "rowlock_marks_without_run",
            "Rows that carry a source's mark and that the ledger knows no run of, as of the last audits.",
            [],
        )
        self.leader = self._gauge("rowlock_leader", "1 in the replica that leads, 0 in a standby.", [])
        self._of_queues = (
            self.row_to_start_seconds,
            self.row_to_kube_job_seconds,
            self.kube_job_to_running_seconds,
            self.throttled,
            self.duplicate_prevented,
            self.runs_finished,
            self.dead_letter,
            self.left_alone,
        )

    def read_queues(self, read: Callable[[], Iterable[QueueFigures]]) -> None:
        """Depths of queues are read from there at every scrape."""
        self.registry.register(QueueGauges(read))

    def forget_queue(self, queue: str) -> None:
        """Removes what was counted of a WorkQueue that is gone; a queue that comes and goes must not cost
        memory for ever.
        """
        for metric in self._of_queues:
            metric.remove_by_labels({"queue": queue})

    def observe_api_request(self, verb: str, resource: str, status: str, seconds: float) -> None:
        """One request to the Kubernetes API; fits the client's `observe`."""
        self.api_requests.labels(verb, resource, status).inc()
        self.api_request_seconds.labels(verb).observe(seconds)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _histogram(
        self, name: str, text: str, labels: list[str], buckets: tuple[float, ...] = WAIT_BUCKETS
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
