"""Everything that runs: stores, control plane, network, crew. `close` ends it all, by process id."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis

from rowlock_operator.transport.redis_queues import rq_queue_name
from tests.chaos import cluster, tasks, workload
from tests.chaos.crew import Member, signal_all
from tests.chaos.proxy import Network
from tests.chaos.tasklog import TaskLog
from tests.chaos.workload import NAMESPACE
from tests.services.kube import KubeControlPlane
from tests.services.postgres import PostgresServer, apply_ledger, ask
from tests.services.process import free_port, wait_until
from tests.services.redis import RedisServer
from tests.services.worker import ROOT, worker_environment

OPERATORS, DISPATCHERS = 2, 2
WORKERS = {"bills": 3, "events": 2}
# this tree's, whatever is installed
_PACKAGES = os.pathsep.join(str(ROOT / folder) for folder in ("", "ledger", "operator", "jobimages"))
GUARDS = Path(__file__).parent / "guards"
LEASE_SECONDS = "6"  # of the leader; the default of 15 only makes a run longer


class Stage:
    """`jobs`: with a Kubernetes control plane, operators and kube jobs; else two dispatchers without an
    election, which start in seconds. `workers`: with warm workers. `guards`: files of guards/ to apply, SQL
    to the ledger, else Python that runs in each operator before its program.
    """

    def __init__(self, *, jobs: bool, workers: bool = True, guards: Sequence[str] = ()) -> None:
        self.jobs, self._workers, self._guards = jobs, workers, guards
        self.folder = Path(tempfile.mkdtemp(prefix="rowlock-chaos-"))
        self.log = TaskLog(self.folder / "tasks.log")
        self.network = Network()
        self.postgres, self.redis = PostgresServer(), RedisServer()
        self.plane = KubeControlPlane(controller_manager=True) if jobs else None
        self.members: list[Member] = []
        self.second_leader: Member | None = None
        self.url = ""
        # Unix seconds of a snapshot of etcd and of its restore
        self.forgotten: list[tuple[float, float]] = []
        self._through: dict[str, str] = {}

    # -- start and end
    # ----------------------------------------------------------------------------------------------

    def start(self) -> "Stage":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        pool = ThreadPoolExecutor(1)
        plane = pool.submit(self.plane.start) if self.plane else None  # the slowest, so beside all others
        self.postgres.start()
        self.redis.start()
        self.url = self.postgres.new_database(ledger=False)
        if not self.jobs:
            apply_ledger(self.url)
            for guard in self._guards:
                self.sql((GUARDS / f"{guard}.sql").read_text())
        for name in workload.SOURCES:
            self.sql(workload.TABLE.format(name=name))
        self.sql(workload.RECEIPT)
        for who in ("operator", "worker"):
            port = self.network.add(f"{who}_postgres", self.postgres.port)
            self._through[f"{who}_postgres"] = self.url.replace(str(self.postgres.port), str(port), 1)
            port = self.network.add(f"{who}_redis", self.redis.port)
            self._through[f"{who}_redis"] = f"redis://127.0.0.1:{port}/0"
        if plane:
            up = plane.result(90)
            (self.folder / "redis-url").write_text(self._through["operator_redis"])
            cluster.write_kubeconfig(
                up, self.folder / "kubeconfig", port=self.network.add("operator_api", up.port)
            )
            database = {
                "url": self._through["operator_postgres"],
                "workerUrl": self._through["worker_postgres"],
            }
            cluster.prepare(up, database=database, redis={"url": self._through["worker_redis"]})
        pool.shutdown()
        self._muster()

    def _muster(self) -> None:
        for number in range(1, (OPERATORS if self.jobs else DISPATCHERS) + 1):
            self._enlist(self._operator(number) if self.jobs else self._dispatcher(f"dispatcher-{number}"))
        environment = {tasks.LOG_VARIABLE: str(self.log.path)}
        for queue, number in WORKERS.items() if self._workers else ():
            for n in range(1, number + 1):
                name = f"{queue}-{n}"
                given = worker_environment(
                    url=self._through["worker_postgres"],
                    redis_url=self._through["worker_redis"],
                    queue=f"{NAMESPACE}/{queue}",
                    folder=self.folder,
                    tasks="chaos",
                    rowlock_imports="tests.chaos.tasks",
                    pythonpath=_PACKAGES,
                    rowlock_alive_file=str(self.folder / f"alive-{name}"),
                )
                self._enlist(
                    Member(name, "worker", ["rowlock_jobs", "run"], {**given, **environment}, self._log(name))
                )
        if self.plane:
            given = {
                **self._plain_environment(),
                **environment,
                "ROWLOCK_DATABASE_URL": self._through["worker_postgres"],
            }
            self._enlist(
                Member(
                    "kubelet",
                    "kubelet",
                    ["tests.chaos.kubelet", str(self.plane.kubeconfig), str(self.folder), NAMESPACE],
                    given,
                    self._log("kubelet"),
                )
            )
        wait_until(self._takes_rows, "the crew takes rows", 60)

    def _takes_rows(self) -> bool:
        """Whether somebody dispatches: the sources are registered."""
        try:
            found = self.sql("select count(*) from rowlock.source")[0][0]
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
            return False
        return bool(found == len(workload.sources(jobs=self.jobs)))

    def _enlist(self, member: Member) -> None:
        self.members.append(member)
        member.start()

    def _operator(self, number: int) -> Member:
        before = self.folder / "before-operator"
        before.mkdir(exist_ok=True)
        (before / "sitecustomize.py").write_text(
            "\n".join((GUARDS / f"{guard}.py").read_text() for guard in self._guards)
        )
        environment = {
            **self._plain_environment(),
            "PYTHONPATH": os.pathsep.join((str(before), _PACKAGES)),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "POD_NAME": f"operator-{number}",
            "POD_NAMESPACE": NAMESPACE,
            "ROWLOCK_REDIS_URL_FILE": str(self.folder / "redis-url"),
            "ROWLOCK_WORKER_IMAGE": "registry.example/rowlock-jobs:1",
            "ROWLOCK_HTTP_PORT": str(free_port()),
            "ROWLOCK_LEASE_SECONDS": LEASE_SECONDS,
        }
        return Member(
            f"operator-{number}",
            "operator",
            ["tests.services.operator_program"],
            environment,
            self._log(f"operator-{number}"),
        )

    def _dispatcher(self, name: str) -> Member:
        command = [
            "tests.chaos.dispatcher",
            self._through["operator_postgres"],
            self._through["operator_redis"],
        ]
        return Member(name, "operator", command, self._plain_environment(), self._log(name))

    def add_second_leader(self) -> Member:
        """A dispatcher beside the elected one."""
        if self.second_leader is None or self.second_leader.retired:
            self.second_leader = self._dispatcher("second-leader")
            self.second_leader.start()
        return self.second_leader

    def _plain_environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": _PACKAGES}

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def close(self, *, keep: bool = False) -> None:
        """`keep`: the folder with the logs stays."""
        for member in [*self.members, *([self.second_leader] if self.second_leader else [])]:
            member.close()
        signal_all(list(self.pods()), signal.SIGKILL)  # their children follow them by themselves
        if self.plane:
            self.plane.stop()
        self.network.close()
        self.redis.stop()
        self.postgres.stop()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- looking
    # ----------------------------------------------------------------------------------------------------

    def of(self, role: str) -> list[Member]:
        return [member for member in self.members if member.role == role]

    def pods(self) -> dict[int, str]:
        """Process id of each pod of kube jobs -> the pod's name."""
        folder, found = self.folder / "pods", {}
        for each in sorted(folder.iterdir()) if folder.exists() else []:
            if each.name.isdecimal():
                with contextlib.suppress(FileNotFoundError):  # it ends at this moment
                    found[int(each.name)] = each.read_text()
        return found

    def leader(self) -> Member:
        """Who holds the Lease; without an election the first."""
        operators = self.of("operator")
        holder = cluster.lease_holder(self.plane) if self.plane else ""
        return next((each for each in operators if holder.startswith(f"{each.name}-")), operators[0])

    def kube_jobs(self) -> int:
        return cluster.kube_jobs(self.plane) if self.plane else 0

    def waiting_ids(self) -> dict[str, list[bytes]]:
        """Ids in Redis, by list."""
        with redis.Redis.from_url(self.redis.url) as client:
            lists = [f"rq:queue:{rq_queue_name(f'{NAMESPACE}/{name}')}" for name in WORKERS]
            return {each: list(client.lrange(each, 0, -1)) for each in lists}

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Directly, not through the network under fire. Raises psycopg2.OperationalError while PostgreSQL is
        down.
        """
        return ask(self.url, statement, *parameters)


@contextmanager
def staged(
    *, jobs: bool, workers: bool = True, guards: Sequence[str] = (), keep: bool = False
) -> Iterator[Stage]:
    """A stage that is up, and down afterwards."""
    stage = Stage(jobs=jobs, workers=workers, guards=guards)
    stage.start()
    try:
        yield stage
    finally:
        stage.close(keep=keep)
