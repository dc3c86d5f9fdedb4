"""The demo on the cluster of the tier, and what the tests share: the release, one WorkQueue of two warm
workers, applications that clean up.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cluster.applications import Application, task_config_map, workers_queue
from tests.cluster.release import Release
from tests.services.process import wait_until
from tests.services.real_cluster import run_module

MakeApplication = Callable[..., Application]
_OURS = "rowlock-tests=cluster"


@pytest.fixture(scope="session")
def demo(cluster: str) -> "CompletedProcess[str]":
    """The demo as a new user runs it; it builds the images and installs the chart."""
    return run_module("tools.demo", "up", "--cluster", cluster, timeout_seconds=1500)


@pytest.fixture(scope="session")
def release(cluster_kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    """The release of the demo; installed by it where it is not there yet."""
    release = Release(cluster_kubeconfig)
    if '"status":"deployed"' not in release.helm("list", "--filter", "^rowlock$", "-o", "json"):
        request.getfixturevalue("demo")
    _sweep(release)
    release.sql(
        """create table faults_gate(source text primary key);
           create table faults_log(source text, row_id int, attempt int, pod text, word text,
             at timestamptz default clock_timestamp())"""
    )
    release.apply(task_config_map())
    yield release
    _sweep(release)
    release.close()


def _sweep(release: Release) -> None:
    """Everything of the tests, also what an interrupted run left."""
    for kind in ("rowsources", "workqueues", "configmaps"):
        release.kubectl("delete", kind, "-l", _OURS)
    mine = f"source like '{release.namespace}/faults-%' and finished_at is null"
    release.sql(f"""select rowlock.cancel_v1(array(select id from rowlock.run where {mine}));
            do $$ declare t text; begin
              for t in select tablename from pg_tables where schemaname = 'public'
              and tablename like 'faults\\_%' loop
                execute format('drop table %I', t);
              end loop;
            end $$""")


@pytest.fixture(scope="session")
def workers(release: Release) -> str:
    """The name of a WorkQueue with two warm workers, one run each; retries come at once."""
    quick = {"limit": 5, "backoffSeconds": 1, "maxBackoffSeconds": 1}
    release.apply(workers_queue("faults", scaling={"min": 2, "max": 2}, retry={"infra": quick, "app": quick}))
    return "faults"


@pytest.fixture
def two_workers(release: Release, workers: str) -> str:
    """The same, once both are ready: a fault before has been got over."""
    wait_until(
        lambda: len(release.ready_workers(workers)) == 2 == len(release.workers(workers)),
        "two ready workers",
        90,
    )
    return workers


@pytest.fixture
def application(release: Release) -> Iterator[MakeApplication]:
    """Makes applications named faults-<name>; they are gone after the test."""
    made: list[Application] = []

    def make(name: str, *, queue: str, **spec: object) -> Application:
        made.append(Application(release, f"faults-{name}", queue=queue, **spec))
        return made[-1]

    yield make
    for each in made:
        each.close()
