"""Depths of queues as Prometheus reads them: made at each scrape from the latest figures, so that nothing is
kept for a queue at rest (six gauges each were 30 MB with 5,000 queues) and nothing stays of a queue that is
gone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue (`namespace/name`): runs by state, and the age of the oldest due one."""

    queue: str
    runs: Mapping[str, int]
    oldest_seconds: float = 0.0


AT_REST: Mapping[str, int] = {"waiting": 0}
"""What a queue without runs shows: it is there, and nothing waits."""


class QueueGauges(Collector):
    """`read()` gives the figures of every queue this replica serves; a standby serves none."""

    def __init__(self, read: Callable[[], Iterable[QueueFigures]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        depth = GaugeMetricFamily(
            "rowlock_queue_depth",
            "Runs of a queue by state; one at rest shows waiting alone.",
            labels=["queue", "state"],
        )
        oldest = GaugeMetricFamily(
            "rowlock_oldest_waiting_seconds", "Age of the oldest due run not started.", labels=["queue"]
        )
        for figures in self._read():
            for state, runs in figures.runs.items():
                depth.add_metric([figures.queue, state], runs)
            oldest.add_metric([figures.queue], figures.oldest_seconds)
        yield depth
        yield oldest

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names without reading: a registry asks at registration."""
        yield GaugeMetricFamily("rowlock_queue_depth", "")
        yield GaugeMetricFamily("rowlock_oldest_waiting_seconds", "")
