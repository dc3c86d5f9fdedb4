"""A shortage of eight hours costs no work: the launcher towards a real API server and a real ledger, in
virtual time.

There is no kubelet and no job controller: the test says what became of the pods. Time passes in the clocks
that are handed in, and in the ledger by moving its moments.
"""

import asyncio
import collections
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.kinds import KUBE_JOBS
from rowlock_operator.desired.installation import Installation
from rowlock_operator.dispatch.attempts import Attempt
from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.dispatch.start_gates import StartGates
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.observed.kube_jobs import KubeJobSeen, observe_kube_job
from rowlock_operator.observed.pods import PodSeen, Termination
from rowlock_operator.rows.ledger import Claimed, Ledger
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.integration.cluster_room.conftest import until
from tests.services.manifests import exit_queue, sdk_queue
from tests.services.postgres import ask

pytestmark = [pytest.mark.integration, pytest.mark.slow(60)]

PARALLELISM, DEADLINE = 10, 300
TRIES = "coalesce(sum(infra_tries + app_tries + site_tries), 0)"
# What a pod may be that does not start; None: it was never made.
STUCK: list[PodSeen | None] = [
    PodSeen(name="p", unschedulable="0/3 nodes are available: 3 Insufficient cpu."),
    PodSeen(name="p", unschedulable="Scheduling is blocked due to non-empty scheduling gates", gated=True),
    PodSeen(name="p", node="n", waiting_reason="ImagePullBackOff", waiting_message="no such image"),
    PodSeen(
        name="p",
        node="n",
        waiting_reason="CreateContainerConfigError",
        waiting_message='secret "x" not found',
    ),
    PodSeen(name="p", node="n", waiting_reason="ContainerCreating"),
    PodSeen(name="p", node="n", waiting_reason="CreateContainerError", waiting_message="no such user"),
    None,
]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.began, self.seconds = datetime.now(UTC), 0.0

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class OldRule(Ledger):
    """An attempt that did not start is a failure of class infra, as it was."""

    def postpone(self, *, run_id: str, attempt: int, failure: dict[str, Any], **_: Any) -> str | None:
        self.start_for_kubernetes(run_id=run_id, attempt=attempt, token=run_id)
        return self.finish(
            run_id=run_id, attempt=attempt, token=run_id, outcome="failed", result=None, failure=failure
        )


class OpenGates(StartGates):
    """As many as parallelism says, whether anything starts or not."""

    def allowed(self, queue_id: int, *, parallelism: int, in_hand: int, deadline_seconds: float) -> int:
        return max(0, parallelism - in_hand)

    def takes_repeat(self, queue_id: int) -> bool:
        return True


@dataclass
class Cluster:
    """What the informers know: the API server's kube jobs, and the pods that the test gives them."""

    client: KubeClient
    namespace: str
    clock: Clock
    jobs: dict[Attempt, KubeJobSeen] = field(default_factory=dict)
    born: dict[str, datetime] = field(default_factory=dict)  # uid of a kube job -> virtual
    alive: dict[Attempt, PodSeen] = field(default_factory=dict)
    stuck: list[PodSeen | None] = field(default_factory=lambda: list(STUCK))
    starts: bool = False  # whether pods start now
    never: set[str] = field(default_factory=set)  # runs whose pods never do
    suspended: bool = False

    def synced(self) -> bool:
        return True

    def kube_jobs(self) -> dict[Attempt, KubeJobSeen]:
        return dict(self.jobs)

    def pods(self) -> dict[Attempt, PodSeen]:
        return dict(self.alive)

    async def look(self) -> None:
        manifests = await self.client.list(KUBE_JOBS, self.namespace)
        found = {
            (job.run_id, job.attempt): job for job in map(observe_kube_job, manifests) if job is not None
        }
        for job in found.values():
            self.born.setdefault(job.uid, self.clock.now())
        self.jobs = {
            attempt: replace(job, created_at=self.born[job.uid], started_at=None, suspended=self.suspended)
            for attempt, job in found.items()
        }
        self.alive = {
            attempt: pod for attempt, job in self.jobs.items() if (pod := self._pod(attempt, job)) is not None
        }

    def _pod(self, attempt: Attempt, job: KubeJobSeen) -> PodSeen | None:
        if self.suspended:
            return None
        if self.starts and attempt[0] not in self.never:
            ended = Termination(exit_code=0, started_at=job.created_at)
            return PodSeen(name="p", owner_uid=job.uid, phase="Succeeded", terminated=ended)
        pod = self.stuck[int(attempt[0][-2:], 16) % len(self.stuck)]
        return None if pod is None else replace(pod, owner_uid=job.uid, name=job.name)


@dataclass
class Stage:
    """One queue of a real ledger, its claimer and its launcher, a step of time after the other."""

    url: str
    clock: Clock
    cluster: Cluster
    dispatcher: DatabaseDispatcher
    launcher: Launcher
    entry: QueueEntry
    kube_jobs: list[int] = field(default_factory=list)  # at the end of each step

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return ask(self.url, statement, *values)

    def enqueue(self, n: int, priority: int = 0) -> list[str]:
        enqueue = (
            "select rowlock.enqueue_v1(p_queue => %s, p_task => 'resize', p_args => '{}', p_priority =>"
            " %s)::text from generate_series(1, %s)"
        )
        return [run for (run,) in self.sql(enqueue, self.entry.name, priority, n)]

    async def step(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.sql(
            f"update rowlock.active set due = due - interval '{seconds} s', claimed_at = claimed_at -"
            f" interval '{seconds} s';update rowlock.lane set at = at - interval '{seconds} s', floor = floor"
            f" - interval '{seconds} s';update rowlock.inbox set due = due - interval '{seconds} s'"
        )
        await asyncio.to_thread(self.dispatcher.claimer.run_once)
        for _ in range(2):
            await asyncio.sleep(0)
            await self.idle()
            await self.cluster.look()
            await self.launcher.tend([self.dispatcher])
        await self.idle()
        await self.cluster.look()
        self.kube_jobs.append(len(self.cluster.jobs))

    async def idle(self) -> None:
        tasks = self.launcher.tasks
        await until(
            lambda: not (self.launcher.looking or tasks.busy or tasks.pending), "what the look began is over"
        )

    def states(self) -> dict[str, int]:
        return dict(self.sql("select state, count(*)::int from rowlock.run group by 1"))

    def tries(self) -> int:
        return int(self.sql(f"select {TRIES} from rowlock.run")[0][0])

    def told(self) -> str:
        trouble, _ = self.dispatcher.state.troubles_of_starts(self.entry.queue_id)
        return "" if trouble is None else f"{trouble.reason}: {trouble.message}"


@contextmanager
def acting(
    url: str, redis_url: str, client: KubeClient, namespace: str, *, old: bool = False, sdk: bool = False
) -> Iterator[Stage]:
    clock, launchers = Clock(), list[Launcher]()
    queue = (sdk_queue if sdk else exit_queue)(
        "resize", parallelism=PARALLELISM, startingDeadlineSeconds=DEADLINE
    )
    queue["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4())}
    work_queue = WorkQueue.parse(queue)
    redis = RedisQueues(redis_url)

    def launch(dispatcher: DatabaseDispatcher, entry: QueueEntry, claims: list[Claimed]) -> None:
        launchers[0].launch(dispatcher, entry, claims)

    settings = DispatchSettings(
        claimer=ClaimerSettings(counts_seconds=0.0, counts_share=1e9, floor_seconds=0.0)
    )
    dispatcher = DatabaseDispatcher(url, lambda: redis, settings, launch=launch)
    dispatcher.migrate()
    dispatcher.state.starts = (OpenGates if old else StartGates)(clock.monotonic)
    if old:
        dispatcher.ledger = OldRule(dispatcher.pool)
    entry = QueueEntry(0, f"{namespace}/resize", True, False, 600, PARALLELISM, DEADLINE)
    entry = dispatcher.register_queue(entry, retry={}, succeeded_seconds=86400, dead_seconds=86400)
    cluster = Cluster(client, namespace, clock)
    launchers.append(
        Launcher(
            client,
            cluster,
            installation=Installation(worker_image="x:1"),
            work_queue=lambda _name: work_queue,
            metrics=Metrics(),
            now=clock.now,
        )
    )
    try:
        yield Stage(url, clock, cluster, dispatcher, launchers[0], entry)
    finally:
        dispatcher.stop()
        redis.close()


@pytest.mark.parametrize(("sdk", "hours"), [(False, 8), (True, 2)], ids=["Exit", "Sdk"])
def test_eight_hours_without_a_start_cost_no_try_and_one_kube_job_probes(
    sdk: bool, hours: int, database: str, redis_url: str, credentials: Credentials, namespace: str
) -> None:
    async def play() -> None:
        async with KubeClient(credentials) as client:
            with acting(database, redis_url, client, namespace, sdk=sdk) as stage:
                stage.enqueue(150)
                told = collections.Counter[str]()
                while stage.clock.seconds < hours * 3600:
                    await stage.step(100)
                    told[stage.told().partition(":")[0]] += 1
                assert sum(stage.states().get(state, 0) for state in ("pending", "launching")) == 150
                assert stage.tries() == 0
                assert max(stage.kube_jobs) == PARALLELISM
                assert max(stage.kube_jobs[10:]) == 1, "one probes"
                assert len(stage.cluster.born) < PARALLELISM + hours * 3600 / DEADLINE, "and not all the time"
                assert told[""] < 10, f"it was told all the time: {told}"
                assert "No run loses a try" in stage.told()
                if sdk:
                    return  # that a pod of ours starts is for its own fence to say
                stage.cluster.starts = True
                while (
                    sum(stage.states().get(state, 0) for state in ("pending", "launching"))
                    and stage.clock.seconds < (hours + 1) * 3600
                ):
                    await stage.step(5)
                assert stage.states() == {"succeeded": 150}
                assert max(stage.kube_jobs[-20:]) <= PARALLELISM
                assert stage.told() == ""
                assert stage.clock.seconds < hours * 3600 + 600, "at full speed"

    asyncio.run(play())


def test_by_the_old_rule_rows_are_dead_within_the_hour(
    database: str, redis_url: str, credentials: Credentials, namespace: str
) -> None:
    """The twin: each attempt that did not start uses a try of class infra, and as many kube jobs are made as
    ever.
    """

    async def play() -> None:
        async with KubeClient(credentials) as client:
            with acting(database, redis_url, client, namespace, old=True) as stage:
                stage.enqueue(PARALLELISM)
                while stage.clock.seconds < 3600:
                    await stage.step(60)
                assert stage.states().get("dead", 0) >= PARALLELISM
                assert stage.kube_jobs.count(PARALLELISM) > 20

    asyncio.run(play())


def test_runs_that_never_start_keep_no_other_from_running(
    database: str, redis_url: str, credentials: Credentials, namespace: str
) -> None:
    """Twelve rows that no pod can be started for, in front of a hundred others: these are through in
    minutes.
    """

    async def play() -> None:
        async with KubeClient(credentials) as client:
            with acting(database, redis_url, client, namespace) as stage:
                odd = stage.enqueue(12, priority=5)
                stage.cluster.never, stage.cluster.starts = set(odd), True
                stage.enqueue(100)
                while stage.states().get("succeeded", 0) < 100 and stage.clock.seconds < 4 * 3600:
                    await stage.step(20)
                assert stage.states()["succeeded"] == 100
                assert stage.clock.seconds < 8 * DEADLINE
                for _ in range(15):
                    await stage.step(120)
                    assert stage.kube_jobs[-1] <= 1, "one of them at a time"
                (new,) = stage.enqueue(1)
                for _ in range(3):
                    await stage.step(2)
                assert stage.sql("select state from rowlock.run where id = %s", new) == [("succeeded",)]
                assert stage.sql(
                    "select count(*)::int from rowlock.run where state in ('pending', 'launching')"
                ) == [(12,)]
                assert stage.tries() == 0

    asyncio.run(play())


def test_what_ended_before_it_started_stays_away_for_seconds_and_not_for_the_deadline_it_did_not_wait_for(
    database: str, redis_url: str, credentials: Credentials, namespace: str
) -> None:
    """A pod that the kubelet did not admit, or whose container was killed before the start fence, held its
    place for moments.
    """

    async def play() -> None:
        async with KubeClient(credentials) as client:
            with acting(database, redis_url, client, namespace) as stage:
                refused = PodSeen(name="p", node="n", phase="Failed", reason="UnexpectedAdmissionError")
                stage.cluster.stuck, stage.cluster.starts = [refused], True
                stage.cluster.never = set(stage.enqueue(1))
                stage.enqueue(20)
                for _ in range(4):
                    await stage.step(1)
                assert stage.states()["succeeded"] == 20, "the others start"
                stage.cluster.never = set()
                while stage.states().get("succeeded", 0) < 21 and stage.clock.seconds < DEADLINE:
                    await stage.step(2)
                assert (stage.states(), stage.tries()) == ({"succeeded": 21}, 0)
                assert stage.sql("select attempt > 1 from rowlock.run order by 1 desc limit 1") == [
                    (True,)
                ], "it was tried before"
                assert stage.clock.seconds < DEADLINE / 4

    asyncio.run(play())


def test_kube_jobs_that_somebody_else_suspended_are_waited_for_however_long(
    database: str, redis_url: str, credentials: Credentials, namespace: str
) -> None:
    async def play() -> None:
        async with KubeClient(credentials) as client:
            with acting(database, redis_url, client, namespace) as stage:
                stage.cluster.suspended = True
                stage.enqueue(5)
                while stage.clock.seconds < 8 * 3600:
                    await stage.step(1800)
                assert len(stage.cluster.born) == 5, "neither deleted nor made anew"
                assert stage.states() == {"launching": 5}
                assert stage.told() == ""
                stage.cluster.suspended, stage.cluster.starts = False, True
                # startTime: they are resumed
                stage.cluster.born = dict.fromkeys(stage.cluster.born, stage.clock.now())
                await stage.step(5)
                await stage.step(5)
                assert stage.states() == {"succeeded": 5}
                assert stage.sql("select distinct attempt from rowlock.run") == [(1,)]

    asyncio.run(play())
