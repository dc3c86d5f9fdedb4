"""A Kubernetes control plane of the tests' own: etcd and kube-apiserver, on request kube-controller-manager;
no node, so no pod ever runs.

The programs are real upstream ones, from `ROWLOCK_PROGRAMS` (a folder) or from the cache that `python3 -m
tools.cluster programs` fills.
"""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.process import Server, data_folder, find_program, free_port, has_input, port_open
from tools.cluster.programs import ensure_programs

CRDS = Path(__file__).parents[2] / "crds"
_SERVICE_RANGE = "10.97.0.0/24"


def kube_program(name: str) -> str:
    """Path of etcd, kube-apiserver, kube-controller-manager or kubectl."""
    folder = os.environ.get("ROWLOCK_PROGRAMS")
    if folder:
        return str(Path(folder) / name)
    return str(ensure_programs(("etcd",) if name == "etcd" else ("kubernetes",))[name])


class KubeControlPlane:
    """One cluster without nodes; `start()` until `/readyz`, `stop()` ends every process by its id and removes
    the folder.
    """

    def __init__(self, *, controller_manager: bool = False, compaction_seconds: float = 300) -> None:
        self.with_controller_manager, self._compaction_seconds = controller_manager, compaction_seconds
        self.folder = data_folder("rowlock-kube-")
        self.port, self._etcd_port, self._manager_port = free_port(), free_port(), free_port()
        self._token = secrets.token_hex(16)
        self._servers: dict[str, Server] = {}
        self._kept: list[http.client.HTTPSConnection] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig (group system:masters)."""
        return self.folder / "kubeconfig"

    def start(
        self, before_controllers: "Callable[[KubeControlPlane], None]" = lambda plane: None
    ) -> "KubeControlPlane":
        """`before_controllers` is called once the API server answers: controllers find a kind that comes
        later half a minute later.
        """
        try:
            self._write_pki()
            self._write_kubeconfig()
            self._start_etcd()
            self.start_api_server()
            before_controllers(self)
            if self.with_controller_manager:
                self._start_controller_manager()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        while self._kept:
            self._kept.pop().close()
        for name in ("manager", "api", "etcd"):
            server = self._servers.pop(name, None)
            if server:
                server.stop(signal.SIGKILL)  # nothing here outlives the test, so nothing needs an orderly end
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_api_server(self, sig: int = signal.SIGKILL) -> None:
        """The API server is gone, its data is not; `start_api_server` brings it back on the same address."""
        self._servers.pop("api").stop(sig)

    def freeze_api_server(self) -> None:
        """Connections stay open and nothing is answered, as behind a dead load balancer."""
        self._signal("api", signal.SIGSTOP)

    def thaw_api_server(self) -> None:
        self._signal("api", signal.SIGCONT)

    def _signal(self, name: str, sig: int) -> None:
        process = self._servers[name].process
        assert process is not None
        process.send_signal(sig)

    def start_api_server(self) -> None:
        f = self.folder
        command = [
            kube_program("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={f / 'server.crt'}",
            f"--tls-private-key-file={f / 'server.key'}",
            f"--service-account-key-file={f / 'sa.pub'}",
            f"--service-account-signing-key-file={f / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={f / 'tokens.csv'}",
            f"--service-cluster-ip-range={_SERVICE_RANGE}",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            "--watch-cache=true",
            f"--etcd-compaction-interval={self._compaction_seconds:g}s",
            # Without controllers nobody makes the `default` service account that this plugin asks for.
            *([] if self.with_controller_manager else ["--disable-admission-plugins=ServiceAccount"]),
        ]
        self._run("api", command, lambda: self._answers("/readyz"), 60)

    def etcd_bytes(self) -> int:
        """Size of etcd's file: what it keeps, and what it has kept since nobody defragmented it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._etcd_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return int(
            float(
                next(line for line in lines if line.startswith("etcd_mvcc_db_total_size_in_bytes ")).split()[
                    1
                ]
            )
        )

    @property
    def ca(self) -> bytes:
        """The certificate authority, PEM."""
        return (self.folder / "ca.crt").read_bytes()

    def snapshot_etcd(self) -> Path:
        """What a snapshot of etcd's volume holds: its files while it stands still. Kept beside the others
        until `stop`.
        """
        copy = self.folder / f"etcd-{secrets.token_hex(4)}"
        self._signal("etcd", signal.SIGSTOP)
        try:
            shutil.copytree(self.folder / "etcd", copy)
        finally:
            self._signal("etcd", signal.SIGCONT)
        return copy

    def restore_etcd(self, snapshot: Path) -> None:
        """Goes back to a snapshot as Kubernetes' documentation has it: every API server is stopped, etcd
        restored (its revision goes back), and the controllers start anew with the API server. Who else
        watches learns nothing. The snapshot is used up.
        """
        names = [name for name in ("manager", "api", "etcd") if name in self._servers]
        for name in names:
            self._servers.pop(name).stop(signal.SIGKILL)
        shutil.rmtree(self.folder / "etcd")
        snapshot.rename(self.folder / "etcd")
        self._start_etcd()
        self.start_api_server()
        if "manager" in names:
            self._start_controller_manager()

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        command = [
            kube_program("etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        self._run("etcd", command, lambda: port_open(self._etcd_port), 30)

    def _start_controller_manager(self) -> None:
        command = [
            kube_program("kube-controller-manager"),
            f"--kubeconfig={self.kubeconfig}",
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._manager_port}",
            f"--cert-dir={self.folder / 'manager'}",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            f"--root-ca-file={self.folder / 'ca.crt'}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            "--horizontal-pod-autoscaler-sync-period=2s",
        ]
        # Ready when its controllers work, not when its port is open: pods need the account it makes.
        self._run(
            "manager",
            command,
            lambda: self._answers("/api/v1/namespaces/default/serviceaccounts/default"),
            60,
        )

    def _run(self, name: str, command: list[str], ready: Any, deadline_seconds: float) -> None:
        server = Server(command, self.folder / f"{name}.log")
        self._servers[name] = server
        server.start(ready, deadline_seconds)

    def _answers(self, path: str) -> bool:
        try:
            return self.request("GET", path)[0] == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One call as administrator: the HTTP status and the answer (JSON, else text). Raises OSError where
        there is none.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            status, raw = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        self._kept.append(connection)
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw.decode(errors="replace")

    def _connection(self) -> http.client.HTTPSConnection:
        """A kept one, as tests wait by looking often, or a new one where there is none that the server has
        not ended.
        """
        while self._kept:
            kept = self._kept.pop()
            if kept.sock is not None and not has_input(kept.sock):
                return kept
            kept.close()
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=trust)

    def kubectl(self, *arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """kubectl as administrator; `given` (a manifest or text) goes to its standard input. Never raises for
        its exit code.
        """
        text = given if given is None or isinstance(given, str) else json.dumps(given)
        command = [
            kube_program("kubectl"),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.folder / 'kubectl'}",
            *arguments,
        ]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)

    def replace_authority(self) -> None:
        """The API server is gone and comes back, on the same address, with a certificate of a new CA;
        `ca.crt` of the folder is the new one. Tokens stay good.
        """
        self.stop_api_server()
        self._write_authority()
        self.start_api_server()

    def _write_pki(self) -> None:
        """One CA, one server certificate, one key pair for service-account tokens; the administrator has a
        token.
        """
        self._write_authority()
        for arguments in (
            ("genrsa", "-out", "sa.key", "2048"),
            ("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"),
        ):
            subprocess.run(
                [find_program("openssl"), *arguments], cwd=self.folder, check=True, capture_output=True
            )
        (self.folder / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')

    def _write_authority(self) -> None:
        (self.folder / "san").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n"
        )
        openssl = find_program("openssl")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        for arguments in (
            (
                "req",
                "-x509",
                *key,
                "-keyout",
                "ca.key",
                "-out",
                "ca.crt",
                "-days",
                "2",
                "-subj",
                "/CN=rowlock-tests",
            ),
            ("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver"),
            (
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "san",
                "-out",
                "server.crt",
            ),
        ):
            subprocess.run([openssl, *arguments], cwd=self.folder, check=True, capture_output=True)

    def _write_kubeconfig(self) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "rowlock-tests",
                    "cluster": {"server": self.url, "certificate-authority": str(self.folder / "ca.crt")},
                }
            ],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [
                {
                    "name": "rowlock-tests",
                    "context": {"cluster": "rowlock-tests", "user": "admin", "namespace": "default"},
                }
            ],
            "current-context": "rowlock-tests",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))


def install_definitions(plane: Any) -> None:
    """Our kinds, served: of a control plane here or of a whole cluster, whatever has `kubectl`."""
    for arguments in (("apply", "--server-side"), ("wait", "--for=condition=Established", "--timeout=30s")):
        done = plane.kubectl(*arguments, "-f", str(CRDS))
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def serving_definitions(*, controller_manager: bool = False) -> Iterator[KubeControlPlane]:
    """A control plane with the definitions of crds/ in place, ended with the block."""
    plane = KubeControlPlane(controller_manager=controller_manager).start(install_definitions)
    try:
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def kube_control_plane() -> Iterator[KubeControlPlane]:
    """etcd and kube-apiserver, shared by a session."""
    with serving_definitions() as plane:
        yield plane


@pytest.fixture(scope="session")
def kube(kube_control_plane: KubeControlPlane) -> Path:
    """Path of the administrator's kubeconfig."""
    return kube_control_plane.kubeconfig
