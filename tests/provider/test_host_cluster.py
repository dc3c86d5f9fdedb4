"""One real host cluster, from nothing to nothing: the claims of the provider's verbs, in the order a person
uses them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.cluster import processes
from tools.cluster.api import is_well
from tools.cluster.cgroups import hierarchies_in

NAME = "provtest"
IMAGE = "provtest-says:1"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a host cluster needs root"),
    pytest.mark.timeout(900),
    # Up from before the first look until after the last: what it has on the machine is no trace of ours.
    pytest.mark.usefixtures("cluster"),
]

DOCKERFILE = """\
FROM python:3.13-slim-trixie
COPY says.py /says.py
USER 1000:1000
ENTRYPOINT ["python", "/says.py"]
"""
SAYS = """\
import socket
print("resolved", socket.gethostbyname("web.default.svc.cluster.local"), flush=True)
"""


def cluster(*words: str) -> "subprocess.CompletedProcess[str]":
    verb, *rest = words
    command = [sys.executable, "-m", "tools.cluster", verb, "--name", NAME, *rest]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def must(*words: str) -> str:
    done = cluster(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def traces() -> dict[str, set[str]]:
    """What a cluster could leave on the machine: everything of each sort that is there now."""

    def lines(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    mountinfo = Path("/proc/self/mountinfo").read_text()
    return {
        "links": {line.split()[0] for line in lines("ip", "-br", "link")},
        "routes": lines("ip", "-4", "route"),
        "network namespaces": lines("ip", "netns", "list"),
        "nftables": lines("nft", "list", "tables"),
        "mounts": {line.split(" ")[4] for line in mountinfo.splitlines()},
        "cgroups": {str(path) for top in hierarchies_in(mountinfo) for path in top.glob("rowlock-*")},
        "states": {str(path) for path in Path("/var/lib/rowlock/clusters").glob("*") if NAME in path.name},
    }


def living_namespaces() -> set[str]:
    """The network namespace of every process; a cluster's processes (but BuildKit) live in one of their
    own.
    """
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue  # it ended while we looked
    return found


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    assert cluster("down").returncode == 0  # whatever an interrupted run left
    return traces()


@pytest.fixture(scope="module")
def status(before: dict[str, set[str]]) -> Iterator[dict[str, Any]]:
    must("up", "--provider", "host")
    try:
        yield json.loads(must("status", "-o", "json"))
    finally:
        must("down")


@pytest.fixture(scope="module")
def kubectl(status: dict[str, Any]) -> Callable[..., str]:
    def call(*words: str, stdin: str = "") -> str:
        command = [status["programs"]["kubectl"], "--kubeconfig", status["kubeconfig"], *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    until(lambda: '"default"' in call("get", "serviceaccounts", "-o", "json"))
    return call


def run_pod(kubectl: Callable[..., str], name: str, **spec: Any) -> None:
    container = {"name": "c", "imagePullPolicy": "Never", **spec.pop("container")}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))


def phase(kubectl: Callable[..., str], name: str) -> str:
    return kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}")


def expose(kubectl: Callable[..., str], name: str, *, port: int, target: int) -> str:
    kubectl("expose", "pod", name, f"--port={port}", f"--target-port={target}")
    return kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


def test_a_cluster_that_is_up_says_so_part_by_part(status: dict[str, Any]) -> None:
    assert [status[part] for part in ("healthy", "node_ready", "dns_available")] == [True] * 3
    assert {part["name"] for part in status["components"]} >= {
        "etcd",
        "kube-apiserver",
        "kubelet",
        "containerd",
        "buildkitd",
    }
    assert all(part["healthy"] for part in status["components"])
    assert Path(status["kubeconfig"]).stat().st_mode & 0o777 == 0o600


def test_a_second_up_leaves_every_process_as_it_is(status: dict[str, Any]) -> None:
    must("up")
    assert json.loads(must("status", "-o", "json"))["components"] == status["components"]


def test_up_restarts_a_daemon_that_died_and_no_other(status: dict[str, Any]) -> None:
    pids = {part["name"]: part["pid"] for part in status["components"]}
    os.kill(pids["kube-scheduler"], 9)
    until(lambda: cluster("status").returncode != 0)
    must("up")
    after = {part["name"]: part["pid"] for part in json.loads(must("status", "-o", "json"))["components"]}
    assert {name for name in pids if pids[name] != after[name]} == {"kube-scheduler"}


def test_an_image_builds_runs_and_finds_a_service_by_its_name(
    kubectl: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "says.py").write_text(SAYS)
    must("build", "-t", IMAGE, str(tmp_path))
    server = {"image": "python:3.13-slim-trixie", "command": ["python", "-m", "http.server", "8000"]}
    run_pod(kubectl, "web", container=server)
    until(lambda: phase(kubectl, "web") == "Running")
    address = expose(kubectl, "web", port=80, target=8000)
    run_pod(kubectl, "says", container={"image": IMAGE}, restartPolicy="Never")
    until(lambda: phase(kubectl, "says") == "Succeeded")
    assert kubectl("logs", "says") == f"resolved {address}\n"
    # The same Service from the machine itself.
    until(lambda: is_well(f"http://{address}/"))


def test_postgres_runs_as_its_own_user_with_what_its_environment_asks_for(
    kubectl: Callable[..., str],
) -> None:
    # A folder below the mount, as the official image needs it too: the mount's own root belongs to root.
    folder = "/var/lib/postgresql/data/pgdata"
    env = {
        "POSTGRES_USER": "app",
        "POSTGRES_PASSWORD": "only-a-test",
        "POSTGRES_DB": "shop",
        "PGDATA": folder,
    }
    container = {
        "image": "postgres:17",
        "args": ["postgres", "-c", "max_connections=33"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "first", "mountPath": "/docker-entrypoint-initdb.d"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    kubectl("create", "configmap", "first", "--from-literal=1.sql=CREATE TABLE made AS SELECT 42 AS answer")
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "first", "configMap": {"name": "first"}}]
    context = {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
    run_pod(kubectl, "postgres", container=container, volumes=volumes, securityContext=context)
    kubectl("wait", "pod/postgres", "--for=condition=Ready", "--timeout=60s")
    # By TCP, so that the password counts: the right one is let in, a wrong one is not.
    query = "SELECT answer || ' ' || current_setting('max_connections') FROM made"
    ask = f'PGPASSWORD=$0 psql -h 127.0.0.1 -U app -d shop -Atc "{query}"'
    assert kubectl("exec", "postgres", "--", "sh", "-c", ask, "only-a-test") == "42 33\n"
    refused = kubectl("exec", "postgres", "--", "sh", "-c", f"{ask} 2>&1 || true", "wrong")
    assert "password authentication failed" in refused


def test_redis_answers_from_outside_its_pod(kubectl: Callable[..., str]) -> None:
    probe = {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1}
    container = {"image": "redis:8", "args": ["redis-server", "--appendonly", "yes"], "readinessProbe": probe}
    run_pod(kubectl, "redis", container=container)
    kubectl("wait", "pod/redis", "--for=condition=Ready", "--timeout=60s")
    address = expose(kubectl, "redis", port=6379, target=6379)
    # kube-proxy hears of the new Service a moment later; until then the connection is refused.
    ask = f"redis-cli -h {address} config get appendonly || true"
    answer = until(lambda: kubectl("exec", "redis", "--", "sh", "-c", ask))
    assert answer.split() == ["appendonly", "yes"]


def test_down_twice_leaves_nothing_on_the_machine(
    before: dict[str, set[str]], status: dict[str, Any]
) -> None:
    """Last in the file: it ends the cluster. Its twin is the first assertion: while up, there are traces."""
    up_now = traces()
    assert {sort for sort in before if up_now[sort] - before[sort]} >= {
        "links",
        "routes",
        "nftables",
        "cgroups",
        "states",
    }
    pids = {part["name"]: part["pid"] for part in status["components"]}
    namespace = os.readlink(f"/proc/{pids['holder']}/ns/net")
    assert namespace in living_namespaces()
    must("down")
    must("down")
    until(lambda: not any(traces()[sort] - before[sort] for sort in before), seconds=10)
    assert namespace not in living_namespaces()
    assert [name for name, pid in pids.items() if name != "kube-scheduler" and processes.identify(pid)] == []
