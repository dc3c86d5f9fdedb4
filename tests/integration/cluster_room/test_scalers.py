"""Autoscalers that target a Deployment of ours, as the API server lists them; the server here answers by a
script.
"""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from rowlock_operator.cluster.scalers import KEEP_SECONDS, Scalers
from tests.integration.cluster_room.test_patience import Script, serving

pytestmark = pytest.mark.integration


def scaler(name: str, /, **target: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"scaleTargetRef": target}}


def listing(*items: dict[str, Any]) -> web.Response:
    return web.json_response({"metadata": {}, "items": list(items)})


def refused(status: int) -> web.Response:
    return web.json_response({"message": "no"}, status=status)


def test_what_targets_a_deployment_is_found_and_what_targets_something_else_is_not() -> None:
    async def scenario() -> None:
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment"}
        autoscalers = listing(
            scaler("a", **deployment, name="a-worker"),
            scaler("keda-hpa-b", **deployment, name="b-worker"),
            scaler("ours", apiVersion="rowlock.dev/v1alpha1", kind="WorkQueue", name="c-worker"),
            scaler("set", apiVersion="apps/v1", kind="StatefulSet", name="d-worker"),
            {"metadata": {"name": "odd"}},
        )
        objects = listing(
            scaler("b", name="b-worker"),
            scaler("e", apiVersion="argoproj.io/v1", kind="Rollout", name="e-worker"),
        )
        now = [0.0]
        async with serving(Script(autoscalers, objects, listing(), refused(404))) as client:
            scalers = Scalers(client, lambda: now[0])
            found = {name: await scalers.of("shop", f"{name}-worker") for name in "abcde"}
            assert found == {
                "a": "HorizontalPodAutoscaler a",
                "b": "ScaledObject b",
                "c": None,
                "d": None,
                "e": None,
            }
            now[0] = KEEP_SECONDS
            assert await scalers.of("shop", "a-worker") is None, "it is gone, and KEDA with it"
            assert scalers.may_look("shop")

    asyncio.run(scenario())


def test_without_the_right_nothing_is_found_and_that_is_known() -> None:
    async def scenario() -> None:
        async with serving(Script(refused(403), listing(scaler("b", name="b-worker")))) as client:
            scalers = Scalers(client)
            assert await scalers.of("shop", "b-worker") == "ScaledObject b"
            assert not scalers.may_look("shop")

    asyncio.run(scenario())
