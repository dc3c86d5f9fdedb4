"""How the client treats a server that asks for patience, hangs or answers nonsense; the server here answers
by a script.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import Credentials, Token, load_kubeconfig, token_file
from rowlock_operator.cluster.kinds import CONFIG_MAPS
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.errors import ApiUnavailable, GiveUp

pytestmark = pytest.mark.integration


class Script:
    """Answers in order, then for ever 200; keeps when and with what token it was asked."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []
        self.tokens: list[str] = []
        self.hangs = False

    async def answer(self, request: web.Request) -> web.Response:
        self.asked_at.append(time.monotonic())
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.hangs:
            await asyncio.sleep(60)
        return self.answers.pop(0) if self.answers else web.json_response({"metadata": {"name": "one"}})


def busy(seconds: float) -> web.Response:
    return web.json_response(
        {"message": "too many requests"}, status=429, headers={"Retry-After": str(seconds)}
    )


@asynccontextmanager
async def serving(script: Script, token: Token | None = None, **settings: float) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with KubeClient(Credentials(url, None, "default", token), ClientSettings(**settings)) as kube:  # type: ignore[arg-type]
            yield kube
    finally:
        await runner.cleanup()


def test_a_429_is_repeated_after_what_the_server_asked_and_silences_the_other_requests_too() -> None:
    async def scenario() -> None:
        script = Script(busy(0.5))
        async with serving(script) as kube:
            await kube.get(CONFIG_MAPS, "default", "one")
            assert script.asked_at[1] - script.asked_at[0] >= 0.5
            script.answers = [busy(0.5)]
            first = asyncio.create_task(kube.get(CONFIG_MAPS, "default", "one"))
            while len(script.asked_at) < 3:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # the reply has arrived by now
            await kube.get(CONFIG_MAPS, "default", "two")
            await first
            assert min(script.asked_at[3:]) - script.asked_at[2] >= 0.5

    asyncio.run(scenario())


def test_patience_has_a_bound_and_the_error_says_when_to_come_back() -> None:
    async def scenario() -> None:
        script = Script(busy(3600))
        async with serving(script, patience_seconds=1.0) as kube:
            for asked in (1, 1):
                with pytest.raises(ApiUnavailable) as refused:
                    await kube.get(CONFIG_MAPS, "default", "one")
                assert refused.value.after_seconds == pytest.approx(30, abs=2)
                assert len(script.asked_at) == asked  # the second was not even sent

    asyncio.run(scenario())


def test_a_webhook_that_asks_for_patience_speaks_of_its_object_alone() -> None:
    async def scenario() -> None:
        answer = {
            "message": 'admission webhook "busy.example" denied the request: later',
            "details": {"retryAfterSeconds": 30},
        }
        script = Script(web.json_response(answer, status=429, headers={"Retry-After": "30"}))
        async with serving(script) as kube:
            with pytest.raises(GiveUp, match="denied the request: later"):
                await kube.create(CONFIG_MAPS, {"metadata": {"namespace": "default", "name": "one"}})
            await kube.get(CONFIG_MAPS, "default", "two")
            assert script.asked_at[1] - script.asked_at[0] < 10

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "after", ["3600", "inf", "nan", "-5", "Fri, 31 Dec 2027 23:59:59 GMT", "soon", "9" * 400]
)
def test_the_lease_is_asked_for_whatever_an_earlier_asking_was_answered(after: str) -> None:
    """Twin: a client with patience leaves out the second call."""

    async def scenario() -> None:
        script = Script(
            *[web.json_response({}, status=429, headers={"Retry-After": after}) for _ in range(3)]
        )
        async with serving(script) as other, lease_client(other.credentials) as kube:
            lease = KubeLease(kube, "shop", "rowlock-operator")
            for _ in range(3):
                with pytest.raises(ApiUnavailable):
                    await lease.read()
            with pytest.raises(ApiUnavailable, match="no Lease"):
                await lease.read()  # the script's own answer
            assert len(script.asked_at) == 4

    asyncio.run(scenario())


def test_watches_of_many_namespaces_leave_connections_to_the_calls() -> None:
    """Each keeps its connection: seven namespaces with three kinds each took all twenty that a client has."""

    async def scenario() -> None:
        script = Script()
        async with serving(script, connections=2) as kube:
            script.hangs = True

            async def watch(namespace: str) -> None:
                async for _ in kube.watch(CONFIG_MAPS, namespace, resource_version="1"):
                    pass

            watches = [asyncio.create_task(watch(f"n{number}")) for number in range(3)]
            while len(script.asked_at) < 3:
                await asyncio.sleep(0.01)
            script.hangs = False
            async with asyncio.timeout(20):
                await kube.get(CONFIG_MAPS, "default", "one")
            for each in watches:
                each.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    asyncio.run(scenario())


def test_calls_that_hang_hold_up_no_other_calls() -> None:
    """Such as creations in a namespace whose webhook does not answer: six of them, of two places."""

    async def scenario() -> None:
        script = Script()
        async with serving(script, connections=2) as kube:
            script.hangs = True
            hanging = [
                asyncio.create_task(kube.get(CONFIG_MAPS, "shop", f"h{number}")) for number in range(6)
            ]
            while len(script.asked_at) < 2:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                while len(script.asked_at) < 6:
                    await asyncio.sleep(0.01)
                script.hangs = False
                await kube.get(CONFIG_MAPS, "default", "one")
            assert not any(each.done() for each in hanging)
            for each in hanging:
                each.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    asyncio.run(scenario())


def test_a_server_that_hangs_is_unavailable_after_the_timeout_and_is_not_asked_twice() -> None:
    async def scenario() -> None:
        script = Script()
        script.hangs = True
        async with serving(script, request_timeout_seconds=0.3) as kube:
            with pytest.raises(
                ApiUnavailable, match="patch ConfigMap/default/one: the API server at .* did not answer"
            ):
                await kube.apply(CONFIG_MAPS, {"metadata": {"namespace": "default", "name": "one"}})
        assert len(script.asked_at) == 1

    asyncio.run(scenario())


def test_a_list_that_is_answered_by_something_else_is_an_error_and_never_empty() -> None:
    async def scenario() -> None:
        async with serving(Script(web.Response(text="<html>login</html>"))) as kube:
            with pytest.raises(ApiUnavailable, match="not a JSON object"):
                await kube.list(CONFIG_MAPS, "default")

    asyncio.run(scenario())


def test_a_rotated_token_is_used_within_a_minute_without_a_new_session(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "token"
    path.write_text("old\n")

    async def scenario() -> None:
        script = Script()
        async with serving(script, Token(token_file(path), lambda: now[0])) as kube:
            await kube.get(CONFIG_MAPS, "default", "one")
            path.write_text("new\n")
            now[0] = 59.0
            await kube.get(CONFIG_MAPS, "default", "one")
            now[0] = 61.0
            await kube.get(CONFIG_MAPS, "default", "one")
            path.unlink()
            now[0] = 200.0
            await kube.get(CONFIG_MAPS, "default", "one")  # an unreadable file keeps the last token
        assert script.tokens == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contexts: []\ncurrent-context: a", "has no context named 'a'"),
        ("{", "cannot read the kubeconfig"),
        (
            (
                "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name:"
                " c, cluster: {server: 'http://x'}}]\nusers: [{name: u, user: {exec: {command: x}}}]"
            ),
            "asks a plugin for credentials",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(GiveUp, match=words):
        load_kubeconfig(path)
