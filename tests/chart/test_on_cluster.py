"""The chart on a real node: embedded databases and migration run in a namespace that admits restricted pods
only.

The operator itself is left out (no replicas): what it does is proven elsewhere, and this must hold without
it. In a namespace of its own on the cluster of the tier.
"""

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.rendering import CHART, helm
from tests.services.kube import kube_program
from tests.services.ledger_schema import ledger_script
from tests.services.process import wait_until
from tests.services.real_cluster import definitions_alone, run_module

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
WITHOUT_OPERATOR = ("--set", "operator.replicas=0", "--set", "metrics.service.enabled=false")


class Release:
    """One installed release in a namespace of its own."""

    def __init__(self, kubeconfig: Path, kubectl: str) -> None:
        self.kubeconfig, self.program = kubeconfig, kubectl
        self.namespace = f"chart-{uuid.uuid4().hex[:8]}"

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        command = [self.program, f"--kubeconfig={self.kubeconfig}", "--namespace", self.namespace, *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def helm(self, *arguments: str) -> str:
        done = helm(
            *arguments,
            "--namespace",
            self.namespace,
            "--kubeconfig",
            str(self.kubeconfig),
            timeout_seconds=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, url_key: str, statement: str) -> str:
        """As one of the three logins, over TCP with its password."""
        url = base64.b64decode(
            self.kubectl("get", "secret", "rowlock-database", "-o", f"jsonpath={{.data.{url_key}}}")
        ).decode()
        inside = url.replace(f"rowlock-postgresql.{self.namespace}.svc", "127.0.0.1")
        # The URL goes through standard input: arguments of `kubectl exec` are in every process list.
        script = f"\\set QUIET on\n\\connect {inside}\n\\set ON_ERROR_STOP on\n{statement}\n"
        psql = (
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--username=postgres",
            "rowlock",
        )
        return self.kubectl("exec", "--stdin", "rowlock-postgresql-0", "--", *psql, given=script).strip()

    def wait_migrated(self, revision: int) -> None:
        """The migration of that revision has run (one Job a revision; not a hook, see the template)."""
        self.kubectl(
            "wait", "--for=condition=Complete", f"job/rowlock-migration-{revision}", "--timeout=120s"
        )

    def restarts(self, pod: str) -> int:
        return int(
            self.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
        )

    def is_ready(self, pod: str) -> bool:
        return (
            self.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].ready}") == "true"
        )


@pytest.fixture(scope="module")
def release(cluster: str, cluster_kubeconfig: Path) -> Iterator[Release]:
    release = Release(cluster_kubeconfig, kube_program("kubectl"))
    built = run_module(
        "tools.cluster",
        "build",
        "--name",
        cluster,
        "-f",
        "jobimages/Dockerfile",
        "-t",
        "rowlock-worker:0.1.0",
        ".",
        timeout_seconds=280,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": release.namespace, "labels": labels},
    }
    release.kubectl("create", "-f", "-", given=json.dumps(namespace))
    try:
        with definitions_alone(cluster):
            release.helm("install", "rowlock", str(CHART), *WITHOUT_OPERATOR)
        yield release
    finally:
        # what is not in the namespace: ClusterRoles
        release.helm("uninstall", "rowlock", "--ignore-not-found")
        release.kubectl("delete", "namespace", release.namespace, "--wait=false")


def test_install_ends_with_the_domain_tables_in_place(release: Release) -> None:
    release.wait_migrated(1)
    assert release.sql("appUrl", "select count(*) from document_ingest_jobs;") == "0"
    assert release.sql("workerUrl", "select current_user;") == "rowlock_worker_login"


def test_helm_test_passes_once_the_ledger_is_there(release: Release) -> None:
    release.sql("url", ledger_script())
    assert release.helm("test", "rowlock", "--logs").count("ok:") == 3


def test_upgrade_runs_the_migration_again_and_renews_the_definitions(release: Release, cluster: str) -> None:
    # An older definition, as a release of last year would have left it.
    column = "{.spec.versions[0].additionalPrinterColumns[0].name}"
    patch = json.dumps(
        [{"op": "replace", "path": "/spec/versions/0/additionalPrinterColumns/0/name", "value": "Old"}]
    )
    with definitions_alone(cluster):
        release.kubectl("patch", "crd", "workqueues.rowlock.dev", "--type=json", "--patch", patch)
        release.helm("upgrade", "rowlock", str(CHART), *WITHOUT_OPERATOR)
        release.wait_migrated(2)
        assert release.kubectl("get", "crd", "workqueues.rowlock.dev", "-o", f"jsonpath={column}") == "Mode"
    left = release.kubectl(
        "get", "clusterroles", "-l", "app.kubernetes.io/component=crds-upgrade", "-o", "name"
    )
    assert release.namespace not in left, "the right to change definitions ends with the hook"


def test_rows_outlive_a_crash_of_postgresql(release: Release) -> None:
    release.sql("appUrl", "create table kept(id int); insert into kept values (1);")
    before = release.restarts("rowlock-postgresql-0")
    release.kubectl("exec", "rowlock-postgresql-0", "--", "sh", "-c", "kill -QUIT 1")
    wait_until(
        lambda: release.restarts("rowlock-postgresql-0") > before, "the kubelet restarts PostgreSQL", 60
    )
    wait_until(lambda: release.is_ready("rowlock-postgresql-0"), "PostgreSQL is ready again", 60)
    assert release.sql("appUrl", "select id from kept;") == "1"
