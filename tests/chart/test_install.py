"""The chart on a real API server: one `helm install` on an empty cluster, upgrades keep passwords, uninstalls
keep definitions.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.rendering import CASES, CHART, helm, pods, render_case
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def empty_cluster() -> Iterator[KubeControlPlane]:
    """Without our definitions: the chart brings them. No node, so no pod runs and hooks are left out."""
    plane = KubeControlPlane().start()
    yield plane
    plane.stop()


def run(plane: KubeControlPlane, verb: str, release: str, *arguments: str) -> None:
    done = helm(verb, release, *arguments, "--namespace", release, "--kubeconfig", str(plane.kubeconfig))
    assert done.returncode == 0, done.stderr


def install(plane: KubeControlPlane, release: str, *arguments: str) -> None:
    run(plane, "install", release, str(CHART), "--create-namespace", "--no-hooks", *arguments)


def get(plane: KubeControlPlane, namespace: str, kind: str, name: str) -> dict[str, Any]:
    done = plane.kubectl("get", kind, name, "--namespace", namespace, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def passwords(plane: KubeControlPlane, release: str) -> dict[str, str]:
    return {
        f"{name}/{key}": base64.b64decode(value).decode()
        for name in (f"{release}-database", f"{release}-redis")
        for key, value in get(plane, release, "secret", name)["data"].items()
    }


def test_one_install_on_an_empty_cluster_brings_definitions_and_objects(
    empty_cluster: KubeControlPlane,
) -> None:
    install(empty_cluster, "first")
    queue = get(empty_cluster, "first", "workqueue", "documents")
    assert queue["spec"]["limits"] == {"softSeconds": 600, "hardSeconds": 900, "tasksPerChild": 100}
    assert queue["spec"]["databaseRef"] == {
        "secretName": "first-database",
        "key": "url",
        "workerKey": "workerUrl",
    }
    source = get(empty_cluster, "first", "rowsource", "documents")
    assert source["spec"]["args"] == {"document_id": "document_id", "job_id": "id"}


def test_upgrade_keeps_every_password(empty_cluster: KubeControlPlane) -> None:
    install(empty_cluster, "kept")
    before = passwords(empty_cluster, "kept")
    run(empty_cluster, "upgrade", "kept", str(CHART), "--no-hooks", "--set", "operator.replicas=3")
    assert passwords(empty_cluster, "kept") == before
    assert get(empty_cluster, "kept", "deployment", "kept-rowlock-operator")["spec"]["replicas"] == 3


def test_passwords_outlive_an_uninstall_where_the_volume_does(empty_cluster: KubeControlPlane) -> None:
    persistent = ("--set", "embedded.postgresql.persistence.enabled=true")
    install(empty_cluster, "lasting", *persistent)
    before = get(empty_cluster, "lasting", "secret", "lasting-database")["data"]
    run(empty_cluster, "uninstall", "lasting", "--no-hooks")
    install(empty_cluster, "lasting", *persistent)
    assert get(empty_cluster, "lasting", "secret", "lasting-database")["data"] == before


def test_uninstall_keeps_the_definitions(empty_cluster: KubeControlPlane) -> None:
    install(empty_cluster, "gone")
    run(empty_cluster, "uninstall", "gone", "--no-hooks")
    assert empty_cluster.kubectl("get", "workqueues", "--namespace", "gone", "-o", "name").stdout == ""
    done = empty_cluster.kubectl(
        "get", "crd", "workqueues.rowlock.dev", "rowsources.rowlock.dev", "-o", "name"
    )
    assert len(done.stdout.split()) == 2, done.stderr


@pytest.mark.parametrize("case", ["existing-secrets", "everything-off"])
def test_other_values_are_accepted_by_the_api_server(empty_cluster: KubeControlPlane, case: str) -> None:
    install(empty_cluster, case, "--values", str(CASES / case / "values.yaml"))
    run(empty_cluster, "uninstall", case, "--no-hooks")


def test_restricted_namespace_admits_every_pod(empty_cluster: KubeControlPlane) -> None:
    """The API server's own Pod Security admission judges the pods that the chart renders (asked directly:
    nothing runs them here).
    """
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "demo", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    assert empty_cluster.kubectl("apply", "-f", "-", given=namespace).returncode == 0
    checked = 0
    for name, spec in pods(render_case("default")):
        # The account is made by the release, which is not installed here.
        pod_spec = {**{k: v for k, v in spec.items() if k != "serviceAccountName"}, "restartPolicy": "Never"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "judged", "namespace": "demo"},
            "spec": pod_spec,
        }
        done = empty_cluster.kubectl("create", "--dry-run=server", "-f", "-", given=pod)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        # Negative twin: the same pod without what the chart says about security.
        careless = {**pod, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
        assert (
            "violates PodSecurity"
            in empty_cluster.kubectl("create", "--dry-run=server", "-f", "-", given=careless).stderr
        )
        checked += 1
    assert checked == 6
