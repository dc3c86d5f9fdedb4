"""`rowlock process start` and `stop`: a real API server, a real operator that follows; the worker's part is
done by the function its task calls.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner, Result

from rowlock_cli.main import rowlock
from rowlock_jobs.work.migrate import migrate
from tests.services.kube import KubeControlPlane, serving_definitions
from tests.services.manifests import monitoring_process
from tests.services.monitoring import install
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def plane() -> Iterator[KubeControlPlane]:
    """With controllers: WorkQueues are Ready only where Deployments move."""
    with serving_definitions(controller_manager=True) as made:
        yield made


class Starter(threading.Thread):
    """What a worker does about start_monitoring_process, until `end`."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.over = url, threading.Event()

    def run(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        with connection.cursor() as cur:
            while not self.over.wait(0.1):
                cur.execute(
                    "select monitoring.run_v1(id) from monitoring_processes where start_requested_at is not"
                    " null"
                )
        connection.close()

    def end(self) -> None:
        self.over.set()
        self.join(10)


@pytest.fixture
def room(
    plane: KubeControlPlane,
    postgres: PostgresServer,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OperatorRoom]:
    """An operator, the tables, the pipeline, one login; the command sees the cluster and no database."""
    made = OperatorRoom(plane, postgres.new_database(ledger=False), redis_url, tmp_path)
    migrate(made.url)
    made.secret("login-ada", username="ada", password="a word")
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    yield made
    made.close()


@pytest.fixture
def served(room: OperatorRoom, tmp_path: Path) -> OperatorRoom:
    room.operator(ready=False, **install(room, tmp_path))
    room.wait_condition("WorkQueue", "monitoring", status="True", deadline_seconds=60)
    return room


@pytest.fixture
def starter(served: OperatorRoom) -> Iterator[Starter]:
    thread = Starter(served.url)
    thread.start()
    yield thread
    thread.end()


def command(room: OperatorRoom, verb: str, *words: str) -> Result:
    return CliRunner().invoke(rowlock, ["process", verb, *words, "-n", room.namespace])


def spec(room: OperatorRoom) -> dict[str, Any]:
    found: dict[str, Any] = room.get("MonitoringProcess", "watch")["spec"]
    return found


def test_stop_and_start_are_followed_also_once_its_duration_is_over(
    served: OperatorRoom, starter: Starter
) -> None:
    served.create(monitoring_process("watch"))
    full = f"{served.namespace}/watch"
    first = command(served, "start", "watch")
    assert (first.exit_code, first.stdout) == (0, f"{full} runs (nothing had to be changed)\n"), first.output
    assert spec(served)["startRequest"] == ""
    stopped = command(served, "stop", "watch")
    assert (stopped.exit_code, stopped.stdout) == (0, f"{full} has ended (stopped)\n"), stopped.output
    assert served.sql("select status from monitoring_processes") == [("stopped",)]
    assert command(served, "stop", full).stdout == f"{full} has ended (stopped) (nothing had to be changed)\n"
    again = command(served, "start", "watch", "-o", "json")
    assert (again.exit_code, json.loads(again.stdout)["status"]["phase"]) == (0, "running"), again.output
    assert (spec(served)["state"], spec(served)["startRequest"] != "") == ("Running", True)
    served.sql("update monitoring_processes set started_at = now() - interval '1 day'")
    wait_until(
        lambda: served.get("MonitoringProcess", "watch")["status"]["phase"] == "completed",
        "its duration is over",
        30,
    )
    before = spec(served)["startRequest"]
    last = command(served, "start", "watch")
    assert (last.exit_code, last.stdout) == (0, f"{full} runs\n"), last.output
    assert spec(served)["startRequest"] != before


def test_what_hinders_a_start_is_told_and_ends_the_wait(served: OperatorRoom) -> None:
    served.create(monitoring_process("watch", logins=[{"name": "ada", "secretRef": {"name": "nobody"}}]))
    done = command(served, "start", "watch")
    assert (done.exit_code, "does not run: LoginSecretMissing: " in done.stderr) == (1, True), done.output
    assert "It starts once that is mended." in done.stderr


def test_a_start_that_no_worker_takes_is_told_after_its_time_and_stopped_before_it_began(
    served: OperatorRoom,
) -> None:
    served.create(monitoring_process("watch"))
    wait_until(
        lambda: served.sql("select 1 from monitoring_processes where start_requested_at is not null"),
        "it was asked for",
        30,
    )
    late = command(served, "start", "watch", "--timeout", "1")
    assert (late.exit_code, f"after 1 s {served.namespace}/watch is created: " in late.stderr) == (
        1,
        True,
    ), late.output
    assert "begins; `kubectl -n" in late.stderr
    stopped = command(served, "stop", "watch")
    assert (stopped.exit_code, "has ended (stopped)" in stopped.stdout) == (0, True), stopped.output


def test_without_an_operator_the_wait_ends_and_without_waiting_nothing_is_waited_for(
    room: OperatorRoom,
) -> None:
    room.create(monitoring_process("watch"))
    asked = command(room, "stop", "watch", "--no-wait")
    assert (asked.exit_code, asked.stdout, spec(room)["state"]) == (
        0,
        f"{room.namespace}/watch is asked to stop\n",
        "Stopped",
    )
    done = command(room, "stop", "watch", "--timeout", "0.5")
    assert (
        done.exit_code,
        "after 0.5 s" in done.stderr and "waits for the operator to look at it" in done.stderr,
    ) == (1, True), done.output


def test_a_process_that_is_not_there_and_a_user_who_may_not_are_told(
    room: OperatorRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.create(monitoring_process("watch"))
    done = command(room, "start", "wach")
    assert (
        done.exit_code,
        f"no MonitoringProcess wach in the namespace {room.namespace}; there: watch" in done.stderr,
    ) == (1, True)
    config = json.loads(room.plane.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": "nobody"}}]
    (tmp_path / "nobody").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nobody"))
    refused = command(room, "start", "watch")
    assert (
        refused.exit_code,
        "the cluster refused (401" in refused.stderr,
        "get and patch monitoringprocesses" in refused.stderr,
    ) == (
        1,
        True,
        True,
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    nowhere = command(room, "start", "watch")
    assert (nowhere.exit_code, "run it where your kubeconfig is" in nowhere.stderr) == (
        1,
        True,
    ), nowhere.output
