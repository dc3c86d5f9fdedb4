"""Pods without nodes: real objects at a real API server, whose key files a kubelet of the test's own keeps,
late as kubelets are.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rowlock_cli.commands.credentials.key_mounts import KEYS_VARIABLE
from rowlock_cli.kube.operator_pod import OPERATOR_LABELS
from tests.services.kube import KubeControlPlane

SECRET = "rowlock-encryption"
MERGE = "application/merge-patch+json"


class Kubelets:
    """`files` are what the pods see. Each is brought up to date at every `late`-th look of anybody, never all
    at once.
    """

    def __init__(self, plane: KubeControlPlane, namespace: str, folder: Path, *, late: int = 2) -> None:
        self.plane, self.namespace, self.folder, self.late = plane, namespace, folder, late
        self.files: dict[str, Path] = {}
        self.looks = 0
        self.synced: Callable[[], None] = lambda: None
        self._must("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})

    def _must(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        status, answer = self.plane.request(method, path, body, content_type=content_type)
        assert 200 <= status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def secret(self, text: str | None = None) -> str:
        """What the Secret holds; made, or written over, with `text`."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        if text is not None:
            manifest = {
                "metadata": {"name": SECRET},
                "data": {"keys": base64.b64encode(text.encode()).decode()},
            }
            made = self.plane.request("GET", f"{path}/{SECRET}")[0] == 200
            self._must(
                "PATCH" if made else "POST",
                f"{path}/{SECRET}" if made else path,
                manifest,
                MERGE if made else "application/json",
            )
        return base64.b64decode(self._must("GET", f"{path}/{SECRET}")["data"]["keys"]).decode()

    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = (
            self._must("GET", f"/api/v1/namespaces/{self.namespace}/secrets/{SECRET}")["metadata"].get(
                "annotations"
            )
            or {}
        )
        return found

    def pod(self, name: str, *, operator: bool = False, file: Path | None = None) -> None:
        """A running pod that has the keys mounted."""
        container = {
            "name": "main",
            "image": "x:1",
            "env": [{"name": KEYS_VARIABLE, "value": "/var/run/encryption/keys"}],
            "volumeMounts": [{"name": "encryption", "mountPath": "/var/run/encryption"}],
        }
        volume = {
            "name": "encryption",
            "secret": {"secretName": SECRET, "items": [{"key": "keys", "path": "keys"}]},
        }
        labels = dict(pair.split("=") for pair in OPERATOR_LABELS.split(",")) if operator else {}
        manifest = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [container], "volumes": [volume]},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        self._must("POST", path, manifest)
        state = {
            "name": "main",
            "image": "x:1",
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {}},
        }
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [state],
        }
        self._must("PATCH", f"{path}/{name}/status", {"status": status}, MERGE)
        self.files[name] = file or self.folder / f"keys-of-{name}"
        self.files[name].write_text(self.secret())

    def sha256(self, pod: str, _container: str, path: str) -> str:
        """Stands for sha256sum in the pod."""
        assert path == "/var/run/encryption/keys"
        self.looks += 1
        if self.looks % self.late == 0:
            # In place of the symbolic link that a kubelet swaps: the file is another one.
            fresh = self.files[pod].with_suffix(".new")
            fresh.write_text(self.secret())
            fresh.replace(self.files[pod])
        self.synced()
        return hashlib.sha256(self.files[pod].read_bytes()).hexdigest()
