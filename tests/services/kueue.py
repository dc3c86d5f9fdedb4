"""The real Kueue beside a control plane of the tests' own: its kinds, its webhooks for Jobs, one process of
its manager.

The program and the manifests are those of the module that tools/go/kueue pins; both are built or unpacked
once (minutes).
"""

import base64
import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.services.kube import KubeControlPlane
from tests.services.process import Server, free_port
from tools.cluster.gotool import find_go, needed_version
from tools.cluster.programs import MODULES, ensure_programs

QUEUE_NAME = "kueue.x-k8s.io/queue-name"
PRIORITY_CLASS = "kueue.x-k8s.io/priority-class"
KUEUE = "kueue.x-k8s.io/v1beta2"
_MODULE = MODULES / "kueue"
_CERTIFICATES = "kueue/metrics/certs"  # below /etc, where the manager looks for those of its metrics


class Kueue:
    """One manager; `start()` until it is ready, `stop()` ends it. Needs root: it gets an /etc of its own."""

    def __init__(self, plane: KubeControlPlane) -> None:
        self._plane = plane
        self._webhooks, self._health = free_port(), free_port()
        self._server: Server | None = None

    def start(self) -> "Kueue":
        manifests = manifests_folder()
        self._kubectl("apply", "--server-side", "-f", str(manifests / "crd" / "bases"))
        self._kubectl(
            "wait", "--for=condition=Established", "--timeout=60s", "-f", str(manifests / "crd" / "bases")
        )
        self._kubectl("create", "namespace", "kueue-system")
        self._kubectl(
            "apply",
            "-f",
            "-",
            given=json.dumps({"kind": "List", "apiVersion": "v1", "items": self._configurations(manifests)}),
        )
        folder = self._plane.folder / "kueue"
        etc = folder / "etc" / _CERTIFICATES
        etc.mkdir(parents=True)
        for name, of in (("tls.crt", "server.crt"), ("tls.key", "server.key")):
            (etc / name).write_bytes((self._plane.folder / of).read_bytes())
        config = folder / "config.yaml"
        config.write_text(json.dumps(self._configuration(etc)))
        own_etc = f'mount -t overlay overlay -o lowerdir={folder / "etc"}:/etc /etc && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", own_etc, "kueue", str(program()), f"--config={config}"]
        env = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self._plane.kubeconfig),
            "POD_NAMESPACE": "kueue-system",
        }
        self._server = Server(command, self._plane.folder / "kueue.log", env)
        self._server.start(self._ready, 60)
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(signal.SIGKILL)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _configuration(self, certificates: Path) -> dict[str, Any]:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": f"127.0.0.1:{free_port()}"},
            "webhook": {"host": "127.0.0.1", "port": self._webhooks, "certDir": str(certificates)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            "featureGates": {"VisibilityOnDemand": False},
            "integrations": {"frameworks": ["batch/job"]},
        }

    def _configurations(self, manifests: Path) -> list[dict[str, Any]]:
        """Its webhook configurations, those of Jobs and of its own kinds, at this process."""
        found = [
            each
            for each in yaml.safe_load_all((manifests / "webhook" / "manifests.yaml").read_text())
            if each
        ]
        for each in found:
            each["webhooks"] = [hook for hook in each["webhooks"] if _wanted(hook)]
            for hook in each["webhooks"]:
                url = f"https://127.0.0.1:{self._webhooks}{hook['clientConfig']['service']['path']}"
                hook["clientConfig"] = {"url": url, "caBundle": base64.b64encode(self._plane.ca).decode()}
        return found

    def _kubectl(self, *arguments: str, given: str | None = None) -> None:
        done = self._plane.kubectl(*arguments, given=given)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")


def _wanted(hook: dict[str, Any]) -> bool:
    return all(group in ("batch", "kueue.x-k8s.io") for rule in hook["rules"] for group in rule["apiGroups"])


def program() -> Path:
    """Kueue's manager, built where it is missing."""
    return ensure_programs(("kueue",))["kueue"]


def manifests_folder() -> Path:
    """config/components of the pinned module."""
    go = find_go(needed_version(_MODULE))
    listed = [str(go), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kueue"]
    env = os.environ | {"GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    done = subprocess.run(listed, cwd=_MODULE, env=env, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()) / "config" / "components"


def one_queue(namespace: str, *, pods: int) -> list[dict[str, Any]]:
    """A LocalQueue `rows` in a namespace that lets so many pods run at once, and the priority class `urgent`
    that may preempt.
    """
    # Kueue admits a pod only where its queue covers every resource that the pod asks for; pods of Rowlock ask
    # for these by default.
    quotas = {"pods": pods, "cpu": 100, "memory": "100Gi", "ephemeral-storage": "100Gi"}
    resources = [{"name": name, "nominalQuota": quota} for name, quota in quotas.items()]
    flavor = {"name": "default", "resources": resources}
    return [
        {"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": {"name": "default"}},
        {
            "apiVersion": KUEUE,
            "kind": "ClusterQueue",
            "metadata": {"name": "rows"},
            "spec": {
                "namespaceSelector": {},
                "resourceGroups": [{"coveredResources": list(quotas), "flavors": [flavor]}],
                "preemption": {"withinClusterQueue": "LowerPriority"},
            },
        },
        {"apiVersion": KUEUE, "kind": "WorkloadPriorityClass", "metadata": {"name": "urgent"}, "value": 1000},
        {
            "apiVersion": KUEUE,
            "kind": "LocalQueue",
            "metadata": {"name": "rows", "namespace": namespace},
            "spec": {"clusterQueue": "rows"},
        },
    ]
