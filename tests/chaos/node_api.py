"""What a node says to the API server: one connection, its own Node object and Lease, bindings, statuses and
the end of a deletion.
"""

import http.client
import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.services.manifests import Manifest

NODE = "node-1"
HEARTBEAT_SECONDS = 5.0  # the node controller gives up a node after forty
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Api:
    """One connection to the API server, made anew where it broke. Every call raises OSError or HTTPException
    while nobody answers.
    """

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._place = cluster["server"].removeprefix("https://")
        self._trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._token = user["token"]
        self._connection: http.client.HTTPSConnection | None = None

    def call(
        self, method: str, path: str, body: Any = None, *, accept: str = "application/json"
    ) -> tuple[int, Any]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "Accept": accept}
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


class NodeApi:
    """The calls of one node, which has the pods of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace, self._pods = api, namespace, f"/api/v1/namespaces/{namespace}/pods"
        self._next_heartbeat = 0.0

    def heartbeat(self, off: float) -> None:
        """Registers the node, or renews its Lease; without it the controllers would take its pods for lost.
        `off`: seconds of its clock.
        """
        now = datetime.now(UTC) + timedelta(seconds=off)
        if time.monotonic() < self._next_heartbeat:
            return
        renewed = {
            "spec": {
                "holderIdentity": NODE,
                "leaseDurationSeconds": 40,
                "renewTime": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
            }
        }
        if self._api.call("PATCH", f"{_LEASES}/{NODE}", renewed)[0] == 404:
            self._api.call(
                "POST",
                "/api/v1/nodes",
                {"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}},
            )
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a stand-in"}
            self._api.call("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {"conditions": [ready]}})
            self._api.call("POST", _LEASES, {"metadata": {"name": NODE}, **renewed})
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS

    def pods(self) -> list[Manifest] | None:
        """The pods of kube jobs; None where it does not say."""
        status, answer = self._api.call("GET", f"{self._pods}?labelSelector=rowlock.dev/run")
        return list(answer["items"]) if status == 200 else None

    def bind(self, pod: str) -> bool:
        """As the scheduler would: only a pod with a node is deleted with its grace."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod},
            "target": {"kind": "Node", "name": NODE},
        }
        return self._api.call("POST", f"{self._pods}/{pod}/binding", binding)[0] == 201

    def write_status(self, pod: str, uid: str, status: Manifest) -> None:
        self._api.call("PATCH", f"{self._pods}/{pod}/status", {"metadata": {"uid": uid}, "status": status})

    def tell_killing(self, pod: str, uid: str) -> bool:
        """The Event that a kubelet writes before it ends a container that runs; False where it is to be told
        again.
        """
        about = {
            "kind": "Pod",
            "namespace": self._namespace,
            "name": pod,
            "uid": uid,
            "fieldPath": "spec.containers{main}",
        }
        event = {
            "metadata": {"name": f"{pod}.{uid[:8]}", "namespace": self._namespace},
            "involvedObject": {"apiVersion": "v1", **about},
            "type": "Normal",
            "reason": "Killing",
            "message": "Stopping container main",
            "source": {"component": "kubelet", "host": NODE},
        }
        return self._api.call("POST", f"/api/v1/namespaces/{self._namespace}/events", event)[0] < 500

    def confirm_deletion(self, pod: str, uid: str) -> None:
        """Nothing of it runs here any more: the API server may forget it."""
        self._api.call(
            "DELETE", f"{self._pods}/{pod}", {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        )
