"""The operator as a process of its own, towards a control plane of the tests' own, in a namespace that nobody
else has.
"""

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psycopg2

from rowlock_operator.api.kinds import API_VERSION, KINDS
from tests.services.kube import KubeControlPlane
from tests.services.manifests import Manifest
from tests.services.postgres import ask
from tests.services.process import free_port, wait_until
from tests.services.worker import ROOT, Journal, RunningWorker, worker_environment

GROUP = f"/apis/{API_VERSION}"
MERGE = "application/merge-patch+json"
_PLURALS = {kind.kind: kind.plural for kind in KINDS}
_numbers = itertools.count(1)


class OperatorProcess:
    """One replica of the operator."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log, self.port = log, int(environment["ROWLOCK_HTTP_PORT"])
        command = [sys.executable, "-m", "tests.services.operator_program"]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of /livez, /readyz or /metrics; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        return "rowlock_leader 1.0" in self.page("/metrics")[1]

    def wait_ready(self) -> "OperatorProcess":
        def ready() -> bool:
            assert self.alive, f"the operator ended:\n{self.log.read_text()[-3000:]}"
            return self.page("/readyz")[0] == 200

        wait_until(ready, "the operator is ready", 40)
        return self

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> None:
        """Asks for an orderly end."""
        self._process.terminate()

    def wait(self, deadline_seconds: float = 30) -> int:
        """The exit code."""
        return self._process.wait(deadline_seconds)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.alive:
            self.kill()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines of one event."""
        lines = []
        for text in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and name in line.values():
                    lines.append(line)
        return lines


class OperatorRoom:
    """A namespace with the Secrets of an installation, its operators and workers; `close` ends them all and
    empties the namespace.
    """

    def __init__(self, plane: KubeControlPlane, url: str, redis_url: str, folder: Path) -> None:
        self.plane, self.url, self.redis_url, self.folder = plane, url, redis_url, folder
        self.namespace = f"room-{os.getpid()}-{next(_numbers)}"
        self.journal = Journal(folder / "journal")
        self.operators: list[OperatorProcess] = []
        self.workers: list[RunningWorker] = []
        self.redis_file = folder / "redis-url"
        self.redis_file.write_text(redis_url)
        self.must(
            "POST",
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
        )
        self.secret("rowlock-database", url=url, workerUrl=url)
        self.secret("rowlock-redis", url=redis_url)
        if (
            plane.with_controller_manager
        ):  # a pod needs this account; after an outage the controllers that make it come back late
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            made, answer = plane.request(
                "POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts", account
            )
            assert made in (201, 409), answer

    # -- the cluster
    # ---------------------------------------------------------------------------------------------------

    def must(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> Any:
        """A request that must succeed; its answer."""
        status, answer = self.plane.request(method, path, body, content_type=content_type)
        assert 200 <= status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def secret(self, name: str, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        if self.plane.request("GET", f"{path}/{name}")[0] == 200:
            self.must("PUT", f"{path}/{name}", manifest)
        else:
            self.must("POST", path, manifest)

    def _path(self, kind: str, name: str = "") -> str:
        return f"{GROUP}/namespaces/{self.namespace}/{_PLURALS[kind]}" + (f"/{name}" if name else "")

    def create(self, manifest: Manifest) -> Manifest:
        manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
        created: Manifest = self.must(
            "POST", f"{self._path(manifest['kind'])}?fieldValidation=Strict", manifest
        )
        return created

    def change(self, kind: str, name: str, **spec: Any) -> None:
        self.must("PATCH", self._path(kind, name), {"spec": spec}, content_type=MERGE)

    def delete(self, kind: str, name: str) -> None:
        self.must("DELETE", self._path(kind, name))

    def get(self, kind: str, name: str) -> Manifest:
        found: Manifest = self.must("GET", self._path(kind, name))
        return found

    def condition(self, kind: str, name: str, type_: str = "Ready") -> Manifest:
        """One condition; {} where it is not there."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == type_), {})

    def wait_condition(
        self,
        kind: str,
        name: str,
        type_: str = "Ready",
        *,
        status: str,
        reason: str = "",
        deadline_seconds: float = 30,
    ) -> Manifest:
        """Waits for a condition and returns it."""
        last: Manifest = {}

        def there() -> Manifest | None:
            nonlocal last
            last = self.condition(kind, name, type_)
            return last if last.get("status") == status and reason in ("", last.get("reason")) else None

        try:
            found = wait_until(there, f"{kind} {name} has {type_}={status} {reason}", deadline_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from None
        assert isinstance(found, dict)
        return found

    def kube_jobs(self) -> list[Manifest]:
        items: list[Manifest] = self.must("GET", f"/apis/batch/v1/namespaces/{self.namespace}/jobs")["items"]
        return items

    def pods(self, kube_job: str = "") -> list[Manifest]:
        query = f"?labelSelector=batch.kubernetes.io/job-name%3D{kube_job}" if kube_job else ""
        items: list[Manifest] = self.must("GET", f"/api/v1/namespaces/{self.namespace}/pods{query}")["items"]
        return items

    def kubelet_writes(self, pod: str, phase: str, state: Manifest) -> None:
        """What a kubelet would write into a pod's status."""
        container = {
            "name": "main",
            "image": "x:1",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": state,
        }
        body = {"status": {"phase": phase, "containerStatuses": [container]}}
        self.must("PATCH", f"/api/v1/namespaces/{self.namespace}/pods/{pod}/status", body, content_type=MERGE)

    def status_writes(self) -> float:
        """How often the API server was asked to patch the status of one of our objects, by anybody."""
        total = 0.0
        for line in str(self.plane.request("GET", "/metrics")[1]).splitlines():
            if (
                line.startswith("apiserver_request_total{")
                and 'group="rowlock.dev"' in line
                and 'subresource="status"' in line
                and 'verb="PATCH"' in line
            ):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def lease_holder(self) -> str:
        status, lease = self.plane.request(
            "GET", f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/rowlock-operator"
        )
        return str(lease["spec"].get("holderIdentity") or "") if status == 200 else ""

    # -- processes
    # -----------------------------------------------------------------------------------------------------

    def operator(self, *, ready: bool = True, otherwise: str = "", **changes: str) -> OperatorProcess:
        """One more replica; `changes` are variables of its environment, `otherwise` what Python runs before
        it (tests.services.hurry).
        """
        number = len(self.operators) + 1
        before = self.folder / f"before-operator-{number}"
        before.mkdir()
        (before / "sitecustomize.py").write_text(otherwise)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{before}:{ROOT}",
            "KUBECONFIG": str(self.plane.kubeconfig),
            "POD_NAME": f"operator-{number}",
            "POD_NAMESPACE": self.namespace,
            "ROWLOCK_REDIS_URL_FILE": str(self.redis_file),
            "ROWLOCK_WORKER_IMAGE": "registry.example/rowlock-jobs:1",
            "ROWLOCK_HTTP_PORT": str(free_port()),
            # Shorter than the default 15 s: what is tested is the handover, and tests share two cores.
            "ROWLOCK_LEASE_SECONDS": "10",
            **{name.upper(): value for name, value in changes.items()},
        }
        operator = OperatorProcess(environment, self.folder / f"operator-{number}.log")
        self.operators.append(operator)
        return operator.wait_ready() if ready else operator

    def leader(self) -> OperatorProcess:
        """The replica that leads; waits for it."""
        wait_until(
            lambda: any(o.alive and o.leads() for o in self.operators), "one of the operators leads", 40
        )
        return next(o for o in self.operators if o.alive and o.leads())

    def kill(self, operator: OperatorProcess) -> None:
        """kill -9 of the only replica, whose Lease is taken away: that the next one waits for its end is
        shown with two replicas.
        """
        operator.kill()
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/rowlock-operator"
        assert self.plane.request("DELETE", lease)[0] in (200, 404)

    def worker(self, queue: str, *, ready: bool = True, **changes: str) -> RunningWorker:
        environment = worker_environment(
            url=self.url,
            redis_url=self.redis_url,
            queue=f"{self.namespace}/{queue}",
            folder=self.folder,
            **changes,
        )
        worker = RunningWorker(environment, self.folder / f"worker-{len(self.workers) + 1}.log")
        self.workers.append(worker)
        return worker.wait_ready() if ready else worker

    # -- the database
    # --------------------------------------------------------------------------------------------------

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return ask(self.url, statement, *parameters)

    def runs(self) -> list[tuple[Any, ...]]:
        """(id, state, attempt, result, failure) of every run; [] while the ledger is not there yet."""
        try:
            return self.sql(
                "select id::text, state, attempt, result, failure from rowlock.run order by created_at, id"
            )
        except psycopg2.errors.UndefinedTable:
            return []

    def close(self) -> None:
        for operator in self.operators:
            operator.close()
        for worker in self.workers:
            worker.close()
        with contextlib.suppress(
            OSError
        ):  # a test may have left the API server dead; the plane's own end cleans up then
            for path in (self._path("RowSource"), self._path("WorkQueue")):
                self.plane.request("DELETE", path)
            options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
            self.plane.request("DELETE", f"/apis/batch/v1/namespaces/{self.namespace}/jobs", options)


def counted_for(seconds: float, count: Any) -> float:
    """How much `count()` grew within so many seconds: a window, for claims that nothing happens."""
    before, end = count(), time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, "the window is over", seconds + 5)
    return float(count() - before)
