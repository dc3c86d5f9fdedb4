"""Which release serves a namespace: Leases of a real API server, clocks of our own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.kinds import LEASES
from rowlock_operator.cluster.namespace_leases import LEASE_NAME, NamespaceLeases
from rowlock_operator.errors import RetryLater
from tests.integration.cluster_room.test_patience import Script, serving
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration
LASTS = 60.0


class Release:
    """One leader of one release, with a clock of its own."""

    def __init__(self, client: KubeClient, name: str) -> None:
        self.now = 1000.0
        self.changed: list[str] = []
        self.leases = NamespaceLeases(
            client, name, lease_seconds=LASTS, on_change=self.changed.append, clock=lambda: self.now
        )

    async def look(self, namespace: str) -> tuple[bool, str, str]:
        """A look after its interval: (ours, holder, rival)."""
        self.now += LASTS / 3
        await self.leases.look(namespace)
        served = self.leases.known(namespace)
        assert served is not None
        return served.ours, served.holder, served.rival


@asynccontextmanager
async def releases(credentials: Credentials, *names: str) -> AsyncIterator[list[Release]]:
    async with KubeClient(credentials) as client:
        yield [Release(client, name) for name in names]


def test_a_second_release_is_refused_and_told_of_until_it_goes(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with releases(credentials, "a/one", "b/two") as (one, two):
            assert await one.look(namespace) == (True, "a/one", "")
            assert await two.look(namespace) == (False, "a/one", "")
            assert two.leases.others(namespace)
            assert await one.look(namespace) == (True, "a/one", "b/two")
            for _ in range(3):
                assert await two.look(namespace) == (False, "a/one", "")
                assert await one.look(namespace) == (True, "a/one", "b/two")
            for _ in range(5):
                last = await one.look(namespace)
            assert last == (True, "a/one", ""), "it has gone, and is told of no more"
            assert one.changed == [namespace] * 2

    asyncio.run(scenario())


def test_the_next_leader_of_a_release_goes_on_at_once_and_is_no_rival_of_itself(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with releases(credentials, "a/one", "a/one") as (old, new):
            assert await old.look(namespace) == (True, "a/one", "")
            served = await new.leases.of(namespace)
            assert (served.ours, served.rival) == (True, "")
            assert await old.look(namespace) == (True, "a/one", "")

    asyncio.run(scenario())


def test_a_release_that_renews_no_more_is_followed_after_its_lease_and_not_by_one_that_was_blind(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with releases(credentials, "a/one", "b/two") as (one, two):
            await one.look(namespace)
            await two.look(namespace)
            two.now += 10 * LASTS
            assert (await two.look(namespace))[0] is False, (
                "it has not looked for long: whether nothing was renewed it cannot say"
            )
            assert (await two.look(namespace))[0] is False
            assert (await two.look(namespace))[0] is False
            assert await two.look(namespace) == (True, "b/two", "")
            one.now += LASTS
            assert await one.look(namespace) == (False, "b/two", ""), "who was frozen finds itself replaced"

    asyncio.run(scenario())


def test_what_was_not_renewed_in_time_is_not_believed_before_it_is_looked_at_again(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with releases(credentials, "a/one", "b/two") as (one, two):
            assert (await one.leases.of(namespace)).ours
            one.now += LASTS * 2 / 3
            assert (await one.leases.of(namespace)).ours, "renewed by asking"
            async with KubeClient(credentials) as somebody:
                await somebody.delete(LEASES, namespace, LEASE_NAME)
            assert (await two.look(namespace))[0], "deleted by hand: the first who comes"
            assert (await one.leases.of(namespace)).ours, "within its trust"
            one.now += LASTS * 2 / 3
            assert not (await one.leases.of(namespace)).ours

    asyncio.run(scenario())


def test_a_namespace_that_is_not_there_is_in_nobodys_hands_and_an_api_server_that_is_away_is_no_answer(
    plane: KubeControlPlane, credentials: Credentials
) -> None:
    async def scenario() -> None:
        async with releases(credentials, "a/one") as (one,):
            assert (await one.leases.of("nowhere")).ours
        away = Credentials("http://127.0.0.1:9", None, "default")
        async with releases(away, "a/one") as (one,):
            with pytest.raises(RetryLater):
                await one.leases.of("default")

    asyncio.run(scenario())


def test_a_role_without_the_lease_serves_all_the_same_and_the_right_is_named() -> None:
    async def scenario() -> None:
        refused = web.json_response({"message": "forbidden: User cannot get resource leases"}, status=403)
        async with serving(Script(refused)) as client:
            served = await NamespaceLeases(client, "a/one", lease_seconds=LASTS).of("shop")
            assert served.ours
            assert served.trouble is not None
            assert served.trouble.reason == "Forbidden"
            assert 'verb "get" on resource "leases"' in served.trouble.message

    asyncio.run(scenario())
