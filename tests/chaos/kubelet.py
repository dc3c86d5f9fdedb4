"""A stand-in for a node, as `python -m tests.chaos.kubelet KUBECONFIG FOLDER`: runs the pods of kube jobs as processes, and writes their status.

The process of a pod is the real `rowlock-worker once`, forked from this one, which has everything imported; `FOLDER/pods/<pid>` exists as long as it
does. Everything else of a node is absent: pods of Deployments stay pending.
"""

import contextlib
import http.client
import json
import os
import signal
import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import tests.chaos.tasks
from rowlock_jobs import wiring
from rowlock_jobs.__main__ import main as worker_main
from tests.chaos.workload import NAMESPACE
from tests.services.manifests import Manifest

__all__ = ["wiring"]  # imported before the forks, so that a pod starts in milliseconds
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LOOK_SECONDS = 0.15


class Api:
    """One connection to the API server, made anew where it broke."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._place = cluster["server"].removeprefix("https://")
        self._trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._headers = {"Authorization": f"Bearer {user['token']}"}
        self._connection: http.client.HTTPSConnection | None = None

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {**self._headers, "Content-Type": "application/merge-patch+json"}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(self._place, context=self._trust, timeout=10)
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise


class Kubelet:
    """`look` is one pass over the pods; call it again and again."""

    def __init__(self, api: Api, folder: Path, inherited: dict[str, str]) -> None:
        self._api, self._folder, self._inherited = api, folder, inherited
        self._running: dict[int, tuple[str, str]] = {}  # pid -> (pod, started at)
        self._unwritten: dict[str, Manifest] = {}  # statuses that the API server has not taken yet
        self._taken: set[str] = set()  # uids
        (folder / "pods").mkdir(exist_ok=True)

    def look(self) -> None:
        self._reap()
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, answer = self._api.call("GET", f"{PODS}?labelSelector=rowlock.dev/run")
            if status != 200:
                return
            pods = {pod["metadata"]["name"]: pod for pod in answer["items"]}
            for pid, (name, _) in self._running.items():
                if name not in pods or pods[name]["metadata"].get("deletionTimestamp"):
                    kill_group(pid)
            for pod in pods.values():
                uid = pod["metadata"]["uid"]
                waiting = pod.get("status", {}).get("phase", "Pending") == "Pending"
                if waiting and uid not in self._taken and not pod["metadata"].get("deletionTimestamp"):
                    self._taken.add(uid)
                    self._run(pod)
            for name in list(self._unwritten):
                code, _ = self._api.call("PATCH", f"{PODS}/{name}/status", {"status": self._unwritten[name]})
                if code < 500:
                    self._unwritten.pop(name)

    def _run(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        given = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"] if each.get("value")}
        environment = {key: value for key, value in given.items() if not key.endswith("_FILE")} | self._inherited
        environment["ROWLOCK_ALIVE_FILE"] = str(self._folder / "alive-pod")
        pid = os.fork()
        if pid == 0:
            os._exit(_be_the_pod(environment, self._folder / "pods.log"))
        (self._folder / "pods" / str(pid)).touch()
        self._running[pid] = (name, _now())
        self._unwritten[name] = _status("Running", {"running": {"startedAt": _now()}})

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name, started = self._running.pop(pid)
            (self._folder / "pods" / str(pid)).unlink(missing_ok=True)
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "startedAt": started, "finishedAt": _now()}
            self._unwritten[name] = _status("Succeeded" if code == 0 else "Failed", {"terminated": ended})

    def close(self) -> None:
        for pid in self._running:
            kill_group(pid)


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _be_the_pod(environment: dict[str, str], log: Path) -> int:
    """In the fork: `rowlock-worker once` with the pod's environment."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    try:
        return worker_main(["once"])
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException as error:
        print(f"the pod's process ended: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _status(phase: str, state: Manifest) -> Manifest:
    container = {"name": "main", "image": "x:1", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return {"phase": phase, "containerStatuses": [container]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(kubeconfig: str, folder: str) -> None:
    inherited = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "ROWLOCK_DATABASE_URL", tests.chaos.tasks.LOG_VARIABLE)
        if name in os.environ
    }
    kubelet = Kubelet(Api(Path(kubeconfig)), Path(folder), inherited)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            kubelet.look()
            time.sleep(LOOK_SECONDS)
    finally:
        kubelet.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
