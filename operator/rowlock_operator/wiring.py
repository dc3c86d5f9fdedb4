"""Builds every service once, starts and stops them in order; the only place that reads the environment and
chooses the clock.

Every replica watches; the one that holds the Lease leads. On losing it, the leader's work is cancelled and
its databases are closed.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path

from rowlock_operator.api.kinds import KINDS
from rowlock_operator.cluster.children import Children
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import load_credentials
from rowlock_operator.cluster.lease import Elector, ElectorSettings
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.errors import RetryLater
from rowlock_operator.intake.watcher import PrimaryWatcher
from rowlock_operator.leader import Leader
from rowlock_operator.reconcile.changes import Changes
from rowlock_operator.settings import BadSetting, Settings, load
from rowlock_operator.telemetry import logs
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.telemetry.probes import ProbeServer
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.wiring")
LEASE_NAME = "rowlock-operator"
GAUGES_SECONDS = 5.0
CHILDREN_SILENT_SECONDS = 180.0
TLS_REFUSED_SECONDS = 180.0  # kubelet brings a new CA into a mounted file within two minutes
REOPENED_WITHIN_SECONDS = (
    90.0  # after an outage the watches may take that long to be opened again (backoffs end at 30 s)
)


class RedisByFile:
    """The client for the URL that the mounted Secret holds now; a changed Secret means a new client. Called
    from several threads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[float, RedisQueues] | None = None

    def __call__(self) -> RedisQueues:
        """Raises GiveUp (SecretMalformed) for a URL that cannot be read, RetryLater where the file is not
        there.
        """
        try:
            stamp = self._path.stat().st_mtime
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, RedisQueues(self._path.read_text(errors="replace")))
            return self._known[1]
        except OSError as error:
            raise RetryLater(
                f"Redis: the file {self._path} of its Secret cannot be read: {error.strerror}"
            ) from error


async def operate(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, or until something that must not end has ended (then raises)."""
    metrics = Metrics()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    credentials = load_credentials()
    async with (
        KubeClient(credentials, observe=metrics.observe_api_request) as kube,
        lease_client(credentials) as lease_kube,
    ):
        changes = Changes()
        watcher = PrimaryWatcher(
            kube,
            kinds=KINDS,
            namespaces=settings.watched_namespaces,
            add=changes.object_changed,
            on_repair=lambda plural: metrics.watch_repairs.labels(plural).inc(),
        )
        children = Children(
            kube,
            settings.watched_namespaces,
            on_queue=changes.child_changed,
            on_run=changes.run_changed,
            on_pod=changes.pod_changed,
        )
        redis = RedisByFile(Path(settings.stores.redis_url_file))
        leader = Leader(settings, kube, watcher, children, changes, redis, metrics)
        metrics.read_queues(leader.queue_stats)
        lease = KubeLease(lease_kube, settings.pod.namespace, LEASE_NAME)
        elector = Elector(
            lease,
            f"{settings.pod.name}-{secrets.token_hex(4)}",
            leader.lead,
            settings=ElectorSettings(
                settings.leader.lease_seconds,
                settings.leader.renew_deadline_seconds,
                settings.leader.retry_seconds,
            ),
            on_change=lambda led: metrics.leader.set(int(led)),
            on_stuck=lambda: os._exit(70),  # a leader that does not stop must not outlive its Lease
            on_rival=leader.stand_down,
        )
        # The informers' own streams give up after 70 s of silence and are opened again: what does not come
        # back is an outage, which a restart does not mend.
        live = {
            "watches": lambda: live_or_outage(
                watcher.live(), lease.answering_seconds(), lease.tls_refused_seconds()
            )
        }
        ready = {"watches": watcher.ready, "children": lambda: _children_ready(children)}
        async with ProbeServer(metrics=metrics, live=live, ready=ready, port=settings.server.http_port):
            electing = asyncio.create_task(elector.run(), name="elector")
            services = [
                asyncio.create_task(watcher.run(), name="watcher"),
                asyncio.create_task(children.run(), name="children"),
                asyncio.create_task(_gauges(metrics, watcher), name="gauges"),
            ]
            stopping = asyncio.create_task(stop.wait(), name="stop")
            try:
                await asyncio.wait([stopping, electing, *services], return_when=asyncio.FIRST_COMPLETED)
            finally:
                log.info("stopping")
                leader.announce_end()
                # The elector first: it ends the work and gives the Lease back, while the rest still serves
                # it.
                for task in (electing, *services, stopping):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                await leader.stand_down()


def live_or_outage(
    watches: tuple[bool, str],
    answering_seconds: float,
    tls_refused_seconds: float = 0.0,
    *,
    reopened_within_seconds: float = REOPENED_WITHIN_SECONDS,
) -> tuple[bool, str]:
    """Liveness: a restart mends a watch that is dead while the API server answers. Where nothing answers it
    would mend nothing, and end the dispatch of rows, which needs no API server. Where a certificate is
    refused for long, our files of certificates are not those of the cluster any more, though they are read
    again for every connection: a new container has them mounted anew.
    """
    if tls_refused_seconds >= TLS_REFUSED_SECONDS:
        return (
            False,
            (
                f"TLS with the API server has been refused for {tls_refused_seconds:.0f} s: its CA is not the"
                " one that is mounted here"
            ),
        )
    if watches[0] or answering_seconds >= reopened_within_seconds:
        return watches
    return True, f"{watches[1]}, and so is the API server: a restart would not help"


def _children_ready(children: Children) -> tuple[bool, str]:
    if not children.synced():
        return False, "not listed yet"
    silent = children.silent_seconds()
    return (
        silent < CHILDREN_SILENT_SECONDS,
        f"last sign of life {silent:.0f} s ago (bound {CHILDREN_SILENT_SECONDS:.0f} s)",
    )


async def _gauges(metrics: Metrics, watcher: PrimaryWatcher) -> None:
    while True:
        for path, age in watcher.pulse.ages().items():
            metrics.watch_last_event_age_seconds.labels(path).set(age)
        await asyncio.sleep(GAUGES_SECONDS)


def run(environment: Mapping[str, str]) -> int:
    """The process: 0 after an orderly stop, 2 for a wrong setting; anything else is raised."""
    try:
        settings = load(environment)
    except BadSetting as error:
        print(f"rowlock-operator: {error}")
        return 2
    logs.configure(settings.server.log_format)
    log.info("starting", extra={"settings": settings.describe()})
    asyncio.run(operate(settings))
    return 0
