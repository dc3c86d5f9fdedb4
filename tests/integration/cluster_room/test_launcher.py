"""The launcher towards a real API server and a real ledger."""

import asyncio

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.desired.installation import Installation
from rowlock_operator.dispatch.attempts import Attempt
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.rows.ledger import Claimed
from rowlock_operator.telemetry.metrics import Metrics
from tests.integration.cluster_room.conftest import until
from tests.services.manifests import exit_queue
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import QUEUE, Bench, dispatching, run_states

pytestmark = pytest.mark.integration


class NothingThere:
    """A cluster without kube jobs and pods of ours."""

    def synced(self) -> bool:
        return True

    def kube_jobs(self) -> dict[Attempt, KubeJobSeen]:
        return {}

    def pods(self) -> dict[Attempt, PodSeen]:
        return {}


async def claimed_and_refused(bench: Bench, credentials: Credentials, launched: bool) -> None:
    """A look that finds nothing, then a claim whose kube job is refused, as in a namespace that is being
    deleted; then its WorkQueue goes.
    """
    queue = exit_queue("reports")
    queue["metadata"]["namespace"] = "nobody-made-it"  # creations in it are refused
    work_queue = WorkQueue.parse(queue)
    async with KubeClient(credentials) as client:
        launcher = Launcher(
            client,
            NothingThere(),
            installation=Installation(worker_image="x:1"),
            work_queue=lambda _name: work_queue,
            metrics=Metrics(),
        )

        async def look() -> None:
            await launcher.tend([bench.dispatcher])
            await until(lambda: not launcher.looking, "the look is over")

        await look()
        with connect(bench.dispatcher.url) as cur:
            cur.execute(
                "select rowlock.enqueue_v1(p_queue => %s, p_task => 'resize', p_args => '{}')", (QUEUE,)
            )
        await asyncio.to_thread(wait_until, lambda: bench.launched, "the run is claimed")
        if launched:
            claims = [Claimed(bench.queue.queue_id, bench.launched[0], 1)]
            launcher.launch(bench.dispatcher, bench.queue, claims)
            await until(lambda: QUEUE in launcher.troubles, "its kube job is refused")
        bench.dispatcher.unregister_queue(QUEUE)
        for _ in range(3):
            await look()
            await until(lambda: not launcher.tasks.busy, "what the look began is over")


@pytest.mark.parametrize("launched", [True, False])
def test_a_claim_whose_kube_job_was_refused_waits_again_once_its_work_queue_is_gone(
    launched: bool, database: str, redis_url: str, credentials: Credentials
) -> None:
    """Without the word of the claimer (it came between two looks, and the WorkQueue went before the second)
    nobody would look again.
    """
    with dispatching(database, redis_url, jobs_mode=True) as bench:
        asyncio.run(claimed_and_refused(bench, credentials, launched))
        assert run_states(database) == ({"pending": 1} if launched else {"launching": 1})
