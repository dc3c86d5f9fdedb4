"""Watches that are cut without a word while the API server answers everything else. The product's bounds,
shortened in proportion.
"""

import asyncio
from typing import Any

import pytest

from rowlock_operator import wiring
from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.cluster import pulse as pulse_module
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.lease import Elector
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.intake import kopf_settings
from tests.integration.cluster_room.conftest import until
from tests.integration.cluster_room.test_intake import key, kopf_watches, watching, work_queue
from tests.services.api_proxy import api_proxy

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def _short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams reopened after 3 s of silence instead of 70, dead after 8 s instead of 180, an outage over
    after 4 s instead of 90.
    """

    def short(rng: Any = None) -> Any:
        settings = kopf_settings.watch_only_settings(rng)
        settings.watching.inactivity_timeout = 3
        settings.watching.connect_timeout = 2
        return settings

    monkeypatch.setattr("rowlock_operator.intake.kopf_watch.watch_only_settings", short)
    monkeypatch.setattr(pulse_module, "SILENT_AFTER_SECONDS", 8.0)
    monkeypatch.setattr(wiring, "REOPENED_WITHIN_SECONDS", 4.0)


@pytest.mark.usefixtures("_short_bounds")
def test_a_watch_that_was_cut_silently_is_opened_again_and_brings_what_it_missed(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with (
            api_proxy(credentials) as proxy,
            watching(proxy.credentials, namespace) as (client, watcher, _added),
        ):
            await kopf_watches(client, watcher, namespace)
            proxy.cut_streams_silently()
            await client.create(WORK_QUEUES, work_queue(namespace, "missed"))
            await until(
                lambda: watcher.primaries.get(key(namespace, "missed")), "the missed creation is seen", 15
            )
            assert proxy.looks_since_cut >= 1, (
                "the watch was cut indeed: only another list or watch can have brought it"
            )
            await kopf_watches(client, watcher, namespace)
            assert watcher.live() == (True, "watches move")

    asyncio.run(scenario())


@pytest.mark.usefixtures("_short_bounds")
def test_liveness_fails_while_watches_are_dead_beside_an_api_server_that_answers(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with (
            api_proxy(credentials) as proxy,
            watching(proxy.credentials, namespace) as (client, watcher, _added),
            lease_client(proxy.credentials) as lease_kube,
        ):
            lease = KubeLease(lease_kube, namespace, "rowlock-operator")
            elector = asyncio.create_task(Elector(lease, "one", asyncio.Event().wait).run())  # type: ignore[arg-type]
            await kopf_watches(client, watcher, namespace)

            def live() -> bool:
                return wiring.live_or_outage(watcher.live(), lease.answering_seconds())[0]

            assert live()
            proxy.swallows_watches = True
            proxy.cut_streams_silently()
            took = await until(lambda: not live(), "liveness fails", 20)
            assert took > 6, "sooner would restart a healthy operator"
            proxy.swallows_watches = False
            await until(live, "the watches are open again", 30)
            await kopf_watches(client, watcher, namespace)
            elector.cancel()
            await asyncio.wait([elector])

    asyncio.run(scenario())
