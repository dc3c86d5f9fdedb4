"""The client and the writer of Events against a real API server."""

import asyncio
from datetime import UTC, datetime

import pytest

from rowlock_operator.api.manifest import Manifest
from rowlock_operator.cluster import events
from rowlock_operator.cluster.client import ClientSettings, KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.kinds import CONFIG_MAPS, DEPLOYMENTS, EVENTS, KUBE_JOBS
from rowlock_operator.errors import ApiUnavailable, Conflict, Forbidden, GiveUp, NotFound
from tests.integration.cluster_room.conftest import until
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration


def config_map(namespace: str, name: str = "one", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def deployment(namespace: str, image: str = "example/app:1") -> Manifest:
    labels = {"app": "x"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "x-worker"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "worker", "image": image}]},
            },
        },
    }


def test_apply_creates_and_changes_and_leaves_the_replicas_to_the_scale_subresource(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        seen: list[tuple[str, str, str]] = []
        async with KubeClient(
            credentials, observe=lambda verb, plural, status, _s: seen.append((verb, plural, status))
        ) as kube:
            first = await kube.apply(DEPLOYMENTS, deployment(namespace))
            await kube.patch_scale(DEPLOYMENTS, namespace, "x-worker", 4)
            second = await kube.apply(DEPLOYMENTS, deployment(namespace, "example/app:2"))
            assert second["metadata"]["uid"] == first["metadata"]["uid"]
            assert second["spec"]["template"]["spec"]["containers"][0]["image"] == "example/app:2"
            assert await kube.get_scale(DEPLOYMENTS, namespace, "x-worker") == 4
            assert await kube.delete(DEPLOYMENTS, namespace, "x-worker") is True
            assert await kube.delete(DEPLOYMENTS, namespace, "x-worker") is False
            assert await kube.find(DEPLOYMENTS, namespace, "x-worker") is None
        assert ("patch", "deployments", "201") in seen
        assert ("delete", "deployments", "404") in seen

    asyncio.run(scenario())


def test_a_misspelled_field_is_refused_and_the_sentence_names_object_and_field(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        wrong = deployment(namespace)
        wrong["spec"]["replicaz"] = 3
        async with KubeClient(credentials) as kube:
            with pytest.raises(
                GiveUp, match=r"patch Deployment/.*/x-worker: the API server refused the object: .*replicaz"
            ):
                await kube.apply(DEPLOYMENTS, wrong)

    asyncio.run(scenario())


def test_creating_twice_is_one_object_and_a_plain_create_conflicts(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with KubeClient(credentials) as kube:
            one, created = await kube.create_once(CONFIG_MAPS, config_map(namespace, value="1"))
            again, created_again = await kube.create_once(CONFIG_MAPS, config_map(namespace, value="2"))
            assert (created, created_again) == (True, False)
            assert again == one
            with pytest.raises(Conflict, match=f"create ConfigMap/{namespace}/one: .*already exists"):
                await kube.create(CONFIG_MAPS, config_map(namespace))
            with pytest.raises(Conflict):
                await kube.delete(CONFIG_MAPS, namespace, "one", uid="somebody-else")
            with pytest.raises(NotFound, match=f"get ConfigMap/{namespace}/two: not found"):
                await kube.get(CONFIG_MAPS, namespace, "two")

    asyncio.run(scenario())


def test_a_list_comes_in_pages_and_metadata_alone_is_smaller(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with KubeClient(credentials, ClientSettings(page_size=2)) as kube:
            for n in range(5):
                await kube.create(CONFIG_MAPS, config_map(namespace, f"c{n}", value="x"))
            pages = [page async for page in kube.list_pages(CONFIG_MAPS, namespace)]
            assert [len(page.items) for page in pages] == [2, 2, 1]
            assert len({page.resource_version for page in pages}) == 1
            bare = [
                item
                async for page in kube.list_pages(CONFIG_MAPS, namespace, metadata_only=True)
                for item in page.items
            ]
            assert {item["metadata"]["name"] for item in bare} == {f"c{n}" for n in range(5)}
            assert all("data" not in item for item in bare)

    asyncio.run(scenario())


def test_a_watch_tells_what_happened_after_a_version_however_long_the_objects_are(
    credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with KubeClient(credentials, ClientSettings(silence_seconds=3)) as kube:
            # a line longer than any buffer
            made = await kube.create(CONFIG_MAPS, config_map(namespace, value="x" * 500_000))
            before = str(int(made["metadata"]["resourceVersion"]) - 1)
            await kube.delete(CONFIG_MAPS, namespace, "one")
            stream = kube.watch(CONFIG_MAPS, namespace, resource_version=before)
            types = [(await anext(stream)).type, (await anext(stream)).type]
            await stream.aclose()
            assert types == ["ADDED", "DELETED"]

    asyncio.run(scenario())


def test_a_missing_right_is_told_by_verb_resource_and_group(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    async def scenario() -> None:
        async with KubeClient(credentials) as admin:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "poor"}}
            assert plane.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)[0] == 201
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/poor/token"
            status, reply = plane.request(
                "POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            )
            assert status == 201
            token = reply["status"]["token"]
            poor = Credentials(admin.credentials.server, admin.credentials.tls, namespace, lambda: token)
            async with KubeClient(poor) as kube:
                with pytest.raises(
                    Forbidden,
                    match=(
                        rf'lacks verb "list" on resource "jobs" of API group "batch" in namespace {namespace}'
                    ),
                ) as refused:
                    await kube.list(KUBE_JOBS, namespace)
                assert token not in str(refused.value)

    asyncio.run(scenario())


def test_a_server_that_is_gone_is_unavailable_and_a_list_of_it_never_empty() -> None:
    async def scenario() -> None:
        async with KubeClient(Credentials("http://127.0.0.1:9", None, "default")) as kube:
            with pytest.raises(ApiUnavailable, match="did not answer"):
                await kube.list(KUBE_JOBS, "default")

    asyncio.run(scenario())


def test_events_of_one_object_and_reason_are_one_event_with_a_count_until_the_window_ends(
    credentials: Credentials, namespace: str
) -> None:
    clock = [0.0]

    async def scenario() -> None:
        async with KubeClient(credentials) as kube:
            about = await kube.create(CONFIG_MAPS, config_map(namespace))
            writer = EventWriter(kube, instance="me", clock=lambda: clock[0])
            for n in range(3):
                assert await writer.write(CONFIG_MAPS, about, reason="Launched", message=f"launch {n}")
            assert await writer.write(CONFIG_MAPS, about, reason="DeadLettered", message="m", warning=True)
            first = {event["reason"]: event for event in await kube.list(EVENTS, namespace)}
            assert {reason: event["count"] for reason, event in first.items()} == {
                "Launched": 3,
                "DeadLettered": 1,
            }
            assert first["Launched"]["message"] == "launch 2"
            assert first["Launched"]["involvedObject"]["uid"] == about["metadata"]["uid"]
            assert first["DeadLettered"]["type"] == "Warning"

            # as the API's own retention does
            await kube.delete(EVENTS, namespace, first["Launched"]["metadata"]["name"])
            assert await writer.write(CONFIG_MAPS, about, reason="Launched", message="again")
            clock[0] += events.WINDOW_SECONDS
            assert await writer.write(CONFIG_MAPS, about, reason="Launched", message="later")
            counts = sorted(
                event["count"]
                for event in await kube.list(EVENTS, namespace)
                if event["reason"] == "Launched"
            )
            assert counts == [1, 1]

    asyncio.run(scenario())


def test_a_storm_of_events_is_cut_to_the_rate_and_a_refused_one_raises_nothing(
    credentials: Credentials, namespace: str
) -> None:
    clock = [0.0]

    async def scenario() -> None:
        async with KubeClient(credentials) as kube:
            about = await kube.create(CONFIG_MAPS, config_map(namespace))
            writer = EventWriter(kube, instance="me", clock=lambda: clock[0], now=lambda: datetime.now(UTC))
            written = [
                await writer.write(CONFIG_MAPS, about, reason=f"Reason{n}", message="m") for n in range(40)
            ]
            assert sum(written) == events.BURST
            assert writer.dropped == 40 - events.BURST
            clock[0] += 2 * events.REFILL_SECONDS
            assert [
                await writer.write(CONFIG_MAPS, about, reason=f"Later{n}", message="m") for n in range(3)
            ] == [True, True, False]
            clock[0] += 1000
            nowhere = {"metadata": {**about["metadata"], "namespace": "no-such-namespace"}}
            assert await writer.write(CONFIG_MAPS, nowhere, reason="Lost", message="m") is False

    asyncio.run(scenario())


def test_until_fails_when_its_condition_never_holds() -> None:
    """The tests' own waiting must be able to fail."""

    async def scenario() -> None:
        with pytest.raises(AssertionError, match="never"):
            await until(lambda: False, "never", 0.1)

    asyncio.run(scenario())
