"""A stand-in for a node, as `python -m tests.chaos.kubelet KUBECONFIG FOLDER NAMESPACE`: runs the pods of
kube jobs as processes, and writes their status.

Under contract Sdk the process of a pod is the real `rowlock-worker once`, under contract Exit
tests/chaos/program.py, both forked from this one, which has everything imported. `FOLDER/pods/<pid>` exists
as long as the process does and holds the pod's name; whoever kills it for memory leaves
`FOLDER/pods/<pid>.oom` first. `FOLDER/clock` holds the seconds that this node's clock is off. Pods of
Deployments stay pending.

As in Kubernetes 1.37: a pod is bound before it starts, else its deletion would know no grace
(podStrategy.CheckGracefulDelete). A deletion, and a pod that the API server has no more, are SIGTERM to the
first process and SIGKILL to all of them after the grace. The phase is Succeeded exactly where the exit code
is 0, deleted or not (kubelet getPhase); with a terminal phase the deletion is confirmed with a grace of 0
(status manager canBeDeleted). What the API server says otherwise than the node is written again (status
manager needsReconcile). Under cgroup v2 memory.oom.group kills all processes of the container. Assumed beyond
that: all times of a pod are by one clock, however wrong. And the node remembers each container that it has
had, so that a pod that comes back from an older etcd is not started again. A real one forgets a container
with its pod, and starts it again (ShouldContainerBeRestarted): under contract Exit nobody could keep that
from happening.
"""

import contextlib
import http.client
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tests.chaos.tasks
from rowlock_jobs import wiring
from rowlock_jobs.__main__ import main as worker_main
from tests.chaos import program
from tests.chaos.node_api import Api, NodeApi
from tests.services.manifests import Manifest

__all__ = ["wiring"]  # imported before the forks, so that a pod starts in milliseconds
LOOK_SECONDS = 0.15


@dataclass
class Container:
    """The one container of a pod. `status`: what the API server is to say of it."""

    pod: str
    uid: str
    pid: int
    started_at: str
    message_file: Path
    # seconds that the node's clock was off when it began: one clock for all of a pod's times
    off: float = 0.0
    status: Manifest = field(default_factory=dict)
    ended: bool = False
    kill_at: float | None = None  # once it was asked to end

    def says(self, phase: str, state: Manifest) -> None:
        container = {
            "name": "main",
            "image": "x:1",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": state,
        }
        self.status = {
            "phase": phase,
            "startTime": self.started_at,
            "containerStatuses": [container | {"containerID": f"containerd://{self.uid}"}],
        }


class Kubelet:
    """`look` is one pass over the pods; call it again and again."""

    def __init__(self, api: NodeApi, folder: Path, inherited: dict[str, str]) -> None:
        self._api, self._folder, self._inherited = api, folder, inherited
        self._containers: dict[str, Container] = {}  # by uid, for ever
        self._killing: list[Container] = []  # of which the API server was not told yet
        for name in ("pods", "messages"):
            (folder / name).mkdir(exist_ok=True)

    def look(self) -> None:
        self._reap()
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._api.heartbeat(self._off())
            pods = self._api.pods()
            if pods is None:
                return
            there = {pod["metadata"]["uid"] for pod in pods}
            for container in self._containers.values():
                if not container.ended and container.uid not in there:
                    self._end(container, 30)
            for pod in pods:
                self._tend(pod)
            while self._killing and self._api.tell_killing(self._killing[0].pod, self._killing[0].uid):
                self._killing.pop(0)

    def _tend(self, pod: Manifest) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        deleting = bool(metadata.get("deletionTimestamp"))
        container = self._containers.get(metadata["uid"])
        if container is None:
            if not deleting and (pod["spec"].get("nodeName") or self._api.bind(metadata["name"])):
                self._run(pod)
            elif deleting and pod["spec"].get("nodeName"):
                self._never_ran(metadata["name"], metadata["uid"])
            return
        if deleting and not container.ended:
            self._end(container, metadata.get("deletionGracePeriodSeconds") or 0)
        if not _same(status, container.status):
            self._api.write_status(container.pod, container.uid, container.status)
        elif deleting and container.ended:
            self._api.confirm_deletion(container.pod, container.uid)

    def _run(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        given = {
            each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"] if each.get("value")
        }
        environment = {
            key: value for key, value in given.items() if not key.endswith("_FILE")
        } | self._inherited
        environment["ROWLOCK_ALIVE_FILE"] = str(self._folder / "alive-pod")
        message = self._folder / "messages" / metadata["uid"]
        foreign = metadata["labels"].get("rowlock.dev/contract") == "Exit"
        pid = os.fork()
        if pid == 0:
            os._exit(_be_the_pod(environment, self._folder / "pods.log", message if foreign else None))
        (self._folder / "pods" / str(pid)).write_text(metadata["name"])
        off = self._off()
        container = Container(metadata["name"], metadata["uid"], pid, _time(off), message, off)
        container.says("Running", {"running": {"startedAt": container.started_at}})
        self._containers[container.uid] = container

    def _never_ran(self, pod: str, uid: str) -> None:
        """Deleted before it could start: no container was there, and so it has failed."""
        ended = {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the pod was terminated",
        }
        container = self._containers[uid] = Container(
            pod, uid, 0, _time(self._off()), self._folder / "messages" / uid, ended=True
        )
        container.says("Failed", {"terminated": ended})

    def _end(self, container: Container, grace_seconds: float) -> None:
        """Asks its first process to end; all of them end with the grace."""
        now = time.monotonic()
        if container.kill_at is None:
            container.kill_at = now + grace_seconds
            self._killing.append(container)
            with contextlib.suppress(ProcessLookupError):
                os.kill(container.pid, signal.SIGTERM)
        if now >= container.kill_at:
            kill_group(container.pid)

    def _reap(self) -> None:
        running = {each.pid: each for each in self._containers.values() if not each.ended}
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            container = running.pop(pid)
            mark = self._folder / "pods" / str(pid)
            killed_for_memory = mark.with_suffix(".oom").exists()
            for file in (mark, mark.with_suffix(".oom")):
                file.unlink(missing_ok=True)
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            reason = (
                "OOMKilled" if killed_for_memory and code == 137 else "Completed" if code == 0 else "Error"
            )
            ended = {
                "exitCode": code,
                "reason": reason,
                "startedAt": container.started_at,
                "finishedAt": _time(container.off),
            }
            if container.message_file.exists():
                ended["message"] = container.message_file.read_text()
            container.ended = True
            container.says("Succeeded" if code == 0 else "Failed", {"terminated": ended})

    def _off(self) -> float:
        with contextlib.suppress(OSError, ValueError):
            return float((self._folder / "clock").read_text())
        return 0.0

    def close(self) -> None:
        for container in self._containers.values():
            if not container.ended:
                kill_group(container.pid)


def _time(off: float) -> str:
    return f"{datetime.now(UTC) + timedelta(seconds=off):%Y-%m-%dT%H:%M:%SZ}"


def _same(there: Manifest, ours: Manifest) -> bool:
    """Whether the API server says what the node says."""
    said = (there.get("containerStatuses") or [{}])[0].get("state")
    return (
        there.get("phase") == ours["phase"]
        and said is not None
        and next(iter(said), "") == next(iter(ours["containerStatuses"][0]["state"]))
    )


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _be_the_pod(environment: dict[str, str], log: Path, message: Path | None) -> int:
    """In the fork: `rowlock-worker once` with the pod's environment, or (`message`: where its last words go)
    somebody's own program.
    """
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    try:
        return worker_main(["once"]) if message is None else program.main(message)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException as error:
        print(f"the pod's process ended: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def main(kubeconfig: str, folder: str, namespace: str) -> None:
    inherited = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "ROWLOCK_DATABASE_URL", tests.chaos.tasks.LOG_VARIABLE)
        if name in os.environ
    }
    kubelet = Kubelet(NodeApi(Api(Path(kubeconfig)), namespace), Path(folder), inherited)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            kubelet.look()
            time.sleep(LOOK_SECONDS)
    finally:
        kubelet.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
