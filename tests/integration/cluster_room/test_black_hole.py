"""Watches that are cut without a word while the API server answers everything else. The product's bounds,
shortened in proportion.
"""

import asyncio
import random

import kopf
import pytest

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.lease import Elector
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.intake.kopf_settings import watch_only_settings
from rowlock_operator.intake.watcher import WatchSettings
from rowlock_operator.wiring import live_or_outage
from tests.integration.cluster_room.conftest import until
from tests.integration.cluster_room.test_intake import key, kopf_watches, watching, work_queue
from tests.services.api_proxy import api_proxy

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def short(rng: random.Random | None = None) -> kopf.OperatorSettings:
    settings = watch_only_settings(rng)
    settings.watching.inactivity_timeout = 3
    settings.watching.connect_timeout = 2
    return settings


# Streams reopened after 3 s of silence instead of 70, dead after 8 s instead of 180, an outage over after 4 s
# instead of 90.
SHORT = WatchSettings(kopf=short, silent_after_seconds=8.0)
REOPENED_WITHIN_SECONDS = 4.0


def test_a_watch_that_was_cut_silently_is_opened_again_and_brings_what_it_missed(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with (
            api_proxy(credentials) as proxy,
            watching(proxy.credentials, namespace, settings=SHORT) as (client, watcher, _added),
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


def test_liveness_fails_while_watches_are_dead_beside_an_api_server_that_answers(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with (
            api_proxy(credentials) as proxy,
            watching(proxy.credentials, namespace, settings=SHORT) as (client, watcher, _added),
            lease_client(proxy.credentials) as lease_kube,
        ):
            lease = KubeLease(lease_kube, namespace, "rowlock-operator")
            elector = asyncio.create_task(Elector(lease, "one", asyncio.Event().wait).run())  # type: ignore[arg-type]
            await kopf_watches(client, watcher, namespace)

            def live() -> bool:
                return live_or_outage(
                    watcher.live(),
                    lease.answering_seconds(),
                    reopened_within_seconds=REOPENED_WITHIN_SECONDS,
                )[0]

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
