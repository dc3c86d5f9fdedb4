"""The installed release as its user meets it: kubectl, helm, `rowlock`, psql, and quick looks at objects."""

import json
import subprocess
from pathlib import Path
from typing import Any

from kubernetes import client, config

from tests.cluster.psql import Psql
from tests.services.real_cluster import ROOT
from tools.cluster.programs import ensure_programs

NAMESPACE = "rowlock"
OPERATOR = "app.kubernetes.io/name=rowlock,app.kubernetes.io/component=operator"
DATABASE_POD = "rowlock-postgresql-0"
# On everything the tests make, so that what an interrupted run left is found again.
LABEL = {"rowlock-tests": "cluster"}
_GROUPS = {
    "jobs": ("batch", "v1"),
    "leases": ("coordination.k8s.io", "v1"),
    "deployments": ("apps", "v1"),
    "workqueues": ("rowlock.dev", "v1alpha1"),
    "rowsources": ("rowlock.dev", "v1alpha1"),
    "monitoringprocesses": ("rowlock.dev", "v1alpha1"),
    "cronjobs": ("batch", "v1"),
}

Object = dict[str, Any]


class Release:
    """One namespace with one release in it. Looks go through one kept connection: tests wait by looking
    often.
    """

    def __init__(self, kubeconfig: Path, *, namespace: str = NAMESPACE) -> None:
        self.namespace = namespace
        self._kubectl = [
            str(ensure_programs(["kubernetes"])["kubectl"]),
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
        ]
        self._helm = [
            str(ensure_programs(["helm"])["helm"]),
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
        ]
        self._api = config.new_client_from_config(str(kubeconfig))
        self._psql = Psql(self._kubectl, pod=DATABASE_POD, role="app")

    def close(self) -> None:
        self._psql.close()
        self._api.rest_client.pool_manager.clear()

    # --- the tools of a user
    # ------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        return self._must([*self._kubectl, *arguments], given)

    def helm(self, *arguments: str) -> str:
        return self._must([*self._helm, *arguments])

    def rowlock(self, *arguments: str) -> str:
        """Rowlock's own command line, inside the operator's pod."""
        return self.kubectl("exec", "deploy/rowlock-operator", "--", "rowlock", *arguments)

    def sql(self, statement: str) -> list[list[str]]:
        """Rows, as text, of a statement of the role `app`: what an ordinary application may do. Raises
        QueryFailed.
        """
        return self._psql.rows(statement)

    def _must(self, command: list[str], given: str | None = None) -> str:
        done = subprocess.run(
            command, input=given, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, f"`{' '.join(command[3:])}`: {done.stderr}{done.stdout}"
        return done.stdout

    # --- objects
    # ------------------------------------------------------------------------------------------------------

    def apply(self, *manifests: Object) -> None:
        """Server-side; each object gets the tests' label."""
        labelled = [
            {**m, "metadata": {**m["metadata"], "labels": {**m["metadata"].get("labels", {}), **LABEL}}}
            for m in manifests
        ]
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": labelled})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=given)

    def delete(self, kind: str, *names: str, wait: bool = True) -> None:
        self.kubectl("delete", kind, *names, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def force_delete(self, *pods: str) -> None:
        """As a node's loss looks to everybody else: the objects are gone at once."""
        self.kubectl("delete", "pods", *pods, "--grace-period=0", "--force", "--wait=false")

    def objects(self, plural: str, selector: str = "") -> list[Object]:
        if plural == "pods":
            answer = client.CoreV1Api(self._api).list_namespaced_pod(
                self.namespace, label_selector=selector, _preload_content=False
            )
            items: list[Object] = json.loads(answer.data)["items"]
            return items
        group, version = _GROUPS[plural]
        listed = client.CustomObjectsApi(self._api).list_namespaced_custom_object(
            group, version, self.namespace, plural, label_selector=selector
        )
        return list(listed["items"])

    def find(self, plural: str, name: str) -> Object | None:
        return next((found for found in self.objects(plural) if found["metadata"]["name"] == name), None)

    def pods(self, selector: str) -> dict[str, Object]:
        """Name -> pod, without those on their way out."""
        return {
            p["metadata"]["name"]: p
            for p in self.objects("pods", selector)
            if "deletionTimestamp" not in p["metadata"]
        }

    def workers(self, queue: str) -> dict[str, Object]:
        return self.pods(f"rowlock.dev/work-queue={queue},app.kubernetes.io/component=worker")

    def ready_workers(self, queue: str) -> dict[str, Object]:
        return {name: pod for name, pod in self.workers(queue).items() if is_ready(pod)}

    def leader(self) -> str:
        """The operator pod that holds the Lease; empty where its holder is no living pod."""
        lease = self.find("leases", "rowlock-operator")
        holder = str(lease["spec"].get("holderIdentity") or "") if lease else ""
        return next((name for name in self.pods(OPERATOR) if holder.startswith(name)), "")


def is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def uids(pods: dict[str, Object]) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in pods.items()}


def condition(found: Object | None, kind: str) -> Object:
    """One condition of an object; empty while there is none."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
