"""Makes the dispatcher of a database: the settings, and whom it tells."""

from collections.abc import Callable

from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.rows.ledger import Claimed
from rowlock_operator.settings import Settings
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.transport.redis_queues import RedisQueues

Launch = Callable[[DatabaseDispatcher, QueueEntry, list[Claimed]], None]


class DispatcherFactory:
    """`launch` takes claims of Jobs queues; `ours(name)` says whether the object `namespace/name` is this
    operator's. Both are called from a dispatcher's threads.
    """

    def __init__(
        self,
        settings: Settings,
        redis: Callable[[], RedisQueues],
        metrics: Metrics,
        *,
        launch: Launch,
        ours: Callable[[str], bool],
    ) -> None:
        self._settings, self._redis, self._metrics = settings, redis, metrics
        self._launch, self._ours = launch, ours

    def __call__(self, url: str) -> DatabaseDispatcher:
        """One that is not started."""
        poll = self._settings.poll
        claimer = ClaimerSettings(busy_seconds=poll.busy_ms / 1000, idle_seconds=poll.idle_ms / 1000)
        return DatabaseDispatcher(
            url,
            self._redis,
            DispatchSettings(claimer=claimer),
            launch=self._launch,
            on_error=self._duty_failed,
            on_duplicate=self._duplicate,
            ours=self._ours,
            kube_jobs=True,
        )

    def _duty_failed(self, duty: str) -> None:
        self._metrics.duty_errors.labels(duty).inc()

    def _duplicate(self, queue: str, count: int) -> None:
        self._metrics.duplicate_prevented.labels(queue).inc(count)
