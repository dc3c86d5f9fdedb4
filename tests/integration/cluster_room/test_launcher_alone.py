"""What goes wrong with one database, one kube job, one row keeps the launcher from no other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.children import Children
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.desired.installation import Installation
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.chaos.proxy import Network
from tests.integration.cluster_room.conftest import until
from tests.services.kube import KubeControlPlane
from tests.services.manifests import exit_queue
from tests.services.policies import JOB, refusing
from tests.services.postgres import PostgresServer, connect
from tests.services.rows import run_states

pytestmark = pytest.mark.integration
OTHERS = 10
RUN = "01900000-0000-7000-8000-000000000000"


def finished(plane: KubeControlPlane, namespace: str, queue: str) -> str:
    """The path of a finished kube job of a run that is over."""
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    run = {"rowlock.dev/run": RUN, "rowlock.dev/attempt": "1"}
    labels = {"app.kubernetes.io/managed-by": "rowlock", "rowlock.dev/work-queue": queue, **run}
    assert (
        plane.request(
            "POST",
            jobs,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "kept", "labels": labels},
                "spec": JOB,
            },
        )[0]
        == 201
    )
    complete(plane, namespace, "kept")
    return f"{jobs}/kept"


def complete(plane: KubeControlPlane, namespace: str, name: str) -> None:
    """What the job controller writes once the pod has succeeded."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": at}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    status = {
        "startTime": at,
        "completionTime": at,
        "succeeded": 1,
        "uncountedTerminatedPods": {},
        "conditions": conditions,
    }
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}/status"
    answer = plane.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
    assert answer[0] == 200, answer


@contextlib.contextmanager
def serving(queues: dict[str, str], redis_url: str, launcher: Launcher) -> Iterator[list[DatabaseDispatcher]]:
    """One dispatcher for each WorkQueue of a database of its own."""
    redis, made = RedisQueues(redis_url), list[DatabaseDispatcher]()
    try:
        for name, url in queues.items():
            made.append(
                DatabaseDispatcher(
                    url, lambda: redis, DispatchSettings(), launch=launcher.launch, kube_jobs=True
                )
            )
            made[-1].migrate()
            made[-1].register_queue(
                QueueEntry(0, name, True, False, 600), retry={}, succeeded_seconds=86400, dead_seconds=86400
            )
            made[-1].start()
        yield made
    finally:
        for each in made:
            each.stop()
        redis.close()


@contextlib.asynccontextmanager
async def running(*services: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(service) for service in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def enqueue(url: str, queue: str) -> str:
    """The id of the new run; it waits where there is no such queue yet."""
    with connect(url) as cur:
        cur.execute(
            "select rowlock.enqueue_v1(p_queue => %s, p_task => 'resize', p_args => '{}', p_wait_for_queue =>"
            " true)",
            (queue,),
        )
        return str(cur.fetchone()[0])


@contextlib.asynccontextmanager
async def launching(
    credentials: Credentials, namespace: str, redis_url: str, urls: dict[str, str], **spec: Any
) -> AsyncIterator[tuple[Launcher, Children]]:
    """A launcher at work for these WorkQueues (name -> database), seeing what is there."""

    def work_queue(name: str) -> WorkQueue:
        manifest = exit_queue(name.partition("/")[2], **spec)
        manifest["metadata"] |= {"namespace": namespace, "uid": "u"}
        return WorkQueue.parse(manifest)

    dispatchers = list[DatabaseDispatcher]()
    async with KubeClient(credentials) as kube:
        children = Children(kube, [namespace], on_queue=lambda *_: None, on_run=lambda: launcher.poke())
        launcher = Launcher(
            kube,
            children,
            installation=Installation(worker_image="x:1"),
            work_queue=work_queue,
            metrics=Metrics(),
        )
        with serving(urls, redis_url, launcher) as made:
            dispatchers += made
            async with running(children.run(), launcher.run(dispatchers)):
                await asyncio.wait_for(children.wait_synced(), 20)
                yield launcher, children


@pytest.mark.parametrize("silent", [False, True], ids=["refuses connections", "says nothing"])
def test_ten_other_databases_go_on(
    silent: bool,
    plane: KubeControlPlane,
    namespace: str,
    credentials: Credentials,
    postgres: PostgresServer,
    redis_url: str,
) -> None:
    network = Network()
    urls = {f"{namespace}/q{number}": postgres.new_database() for number in range(OTHERS)}
    away = postgres.new_database()
    own = away.rsplit(":", 1)[1].split("/")[0]
    # the bad one first
    every = {f"{namespace}/away": away.replace(own, str(network.add("away", int(own)))), **urls}

    async def scenario() -> None:
        async with launching(credentials, namespace, redis_url, every) as (launcher, children):
            enqueue(away, f"{namespace}/away")
            await until(lambda: children.kube_jobs(), "a run of it is in hand")
            kept = await asyncio.to_thread(finished, plane, namespace, "q0")
            await until(lambda: f"{namespace}/q0" in launcher.advice, "that it stays is told")
            assert "kept for the auditors" in launcher.advice[f"{namespace}/q0"].message
            network.proxies["away"].cut(silent=silent)

            began, jobs = time.monotonic(), children.kube_jobs
            for name, url in urls.items():
                enqueue(url, name)
            await until(lambda: len(jobs()) == OTHERS + 2, "the kube jobs of all others", 40)
            for seen in jobs().values():
                if seen.work_queue != "away" and seen.name != "kept":
                    await asyncio.to_thread(complete, plane, namespace, seen.name)
            await until(
                lambda: all(run_states(url) == {"succeeded": 1} for url in urls.values()),
                "all have ended",
                40,
            )
            assert time.monotonic() - began < 40, "five on a quiet machine; a loaded one has forty"
            assert plane.request("GET", kept)[0] == 200
            network.heal()

    policy = {
        "resource": "jobs",
        "allowed_if": "oldObject.metadata.name != 'kept'",
        "message": "kept for the auditors",
    }
    try:
        with refusing(plane, namespace, operations=("UPDATE", "DELETE"), **policy):
            asyncio.run(scenario())
    finally:
        network.close()
        for url in (*urls.values(), away):
            postgres.drop_database(url)


def test_one_that_is_refused_for_its_own_sake_keeps_no_other_from_being_made(
    plane: KubeControlPlane, namespace: str, credentials: Credentials, database: str, redis_url: str
) -> None:
    name, policy = f"{namespace}/q", "object.metadata.labels['rowlock.dev/run'] != '{}'"

    async def scenario(odd: str) -> None:
        async with launching(credentials, namespace, redis_url, {name: database}) as (launcher, children):
            await until(lambda: len(children.kube_jobs()) == 3, "those beside it are made", 40)
            await until(lambda: name in launcher.troubles, "the odd one is told")
            assert "not this row" in launcher.troubles[name].message
            await until(lambda: launcher._creation._refused.left(name) > 3, "it is tried later and later", 60)
            began = time.monotonic()
            enqueue(database, name)
            await until(lambda: len(children.kube_jobs()) == 4, "a new one is made")
            assert time.monotonic() - began < 10, "without waiting for the odd one's turn"
            assert odd not in {run for run, _ in children.kube_jobs()}

    odd, *_ = [enqueue(database, name) for _ in range(4)]
    with refusing(plane, namespace, resource="jobs", allowed_if=policy.format(odd), message="not this row"):
        asyncio.run(scenario(odd))


def test_the_secret_of_a_row_is_made_later_where_it_was_refused(
    plane: KubeControlPlane, namespace: str, credentials: Credentials, database: str, redis_url: str
) -> None:
    """Its kube job is there by then, so that nobody misses that."""
    name, secrets = f"{namespace}/q", f"/api/v1/namespaces/{namespace}/secrets"

    async def scenario() -> None:
        async with launching(credentials, namespace, redis_url, {name: database}, rowDelivery="Secret") as (
            launcher,
            children,
        ):
            with refusing(
                plane, namespace, resource="secrets", allowed_if="false", message="no Secrets here"
            ):
                enqueue(database, name)
                await until(lambda: name in launcher.troubles, "it is told")
                assert "no Secrets here" in launcher.troubles[name].message
                assert len(children.kube_jobs()) == 1
            await until(lambda: plane.request("GET", secrets)[1]["items"], "the Secret is made", 40)
            await until(lambda: not launcher.troubles, "all is well")
            assert len(children.kube_jobs()) == 1

    asyncio.run(scenario())
