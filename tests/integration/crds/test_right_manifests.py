"""Right manifests are accepted by the real API server, with their defaults; scale, status and columns
work.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from rowlock_operator.api.labels import selector_text, worker_selector
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue, WorkQueueSpec
from rowlock_operator.desired.deployments import (
    build_first_worker_deployment,
    build_worker_deployment,
)
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.observed.queues import Depth, QueueObservation, SourceObservation
from rowlock_operator.status.row_sources import fold_row_source_status
from rowlock_operator.status.work_queues import fold_work_queue_status
from tests.golden.comparison import cases, given
from tests.services.kube import KubeControlPlane
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source, sdk_queue, work_queue

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
INSTALLATION = Installation(worker_image="rowlock/worker:1.0")
WORK_QUEUES = "/apis/rowlock.dev/v1alpha1/namespaces/default/workqueues"
ROW_SOURCES = "/apis/rowlock.dev/v1alpha1/namespaces/default/rowsources"


@contextmanager
def created(plane: KubeControlPlane, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    collection = WORK_QUEUES if manifest["kind"] == "WorkQueue" else ROW_SOURCES
    status, made = plane.request("POST", f"{collection}?fieldValidation=Strict", manifest)
    assert status == 201, made
    try:
        yield made
    finally:
        plane.request("DELETE", f"{collection}/{manifest['metadata']['name']}")


def full_queue() -> dict[str, Any]:
    full = given("worker_deployment", "full")["queue"]
    return {**full, "metadata": {"name": "full", "namespace": "default"}}


RIGHT = {
    "workers, the least": work_queue(),
    "workers, everything": full_queue(),
    "Sdk jobs": sdk_queue(parallelism=3, ttlSeconds=0, startingDeadlineSeconds=30),
    "Jobs without a contract are Sdk": sdk_queue(contract=None),
    "Exit": exit_queue(
        rowDelivery="Secret", template={"image": "x:1", "command": ["sh"], "args": ["-c", "true"]}
    ),
    "placed": exit_queue(
        template={
            "image": "x:1",
            "schedulerName": "volcano",
            "runtimeClassName": "gvisor",
            "terminationGracePeriodSeconds": 900,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "minDomains": 2,
                },
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                },
            ],
        }
    ),
    "nulls as in the documentation": {
        **work_queue(),
        "spec": {**work_queue()["spec"], "replicas": None, "databaseRef": None},
    },
    "a name of fifty characters": work_queue("q" * 50),
    "source, the least": row_source(),
    "again by version": row_source(again={"versionColumn": "updated_at"}),
    "again by time": row_source(again={"everySeconds": 3600}),
    "source with args": row_source(columns=None, args={"order_id": "id"}),
    "source with everything": row_source(
        table='"My Shop"."Orders"',
        key="orderId",
        orderBy=["createdAt desc", "orderId"],
        statusColumn={**STATUS_COLUMN, "canceled": "stopped"},
        priority=-100,
        fairnessKey="customer id",
        limits=[
            {
                "name": "per-customer",
                "key": "customer id",
                "concurrency": 2,
                "rate": {"count": 10, "perSeconds": 1, "burst": 10},
            },
            {"name": "whole", "rate": {"count": 100}},
        ],
        suspend=True,
    ),
    "canceled like failed": row_source(statusColumn={**STATUS_COLUMN, "canceled": "error"}),
}


@pytest.mark.parametrize("manifest", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_manifest_is_accepted_and_read(
    kube_control_plane: KubeControlPlane, manifest: dict[str, Any]
) -> None:
    with created(kube_control_plane, manifest) as made:
        parse = WorkQueue.parse if made["kind"] == "WorkQueue" else RowSource.parse
        assert parse(made).metadata.uid == made["metadata"]["uid"]
        assert "status" not in made


def test_defaults_are_filled_in_as_the_models_have_them(kube_control_plane: KubeControlPlane) -> None:
    with created(kube_control_plane, work_queue()) as made:
        spec = made["spec"]
        assert spec["limits"] == {"softSeconds": 300, "hardSeconds": 600, "tasksPerChild": 100}
        assert spec["retry"]["site"] == {"limit": 5, "backoffSeconds": 60, "maxBackoffSeconds": 3600}
        assert spec["scaling"] == {
            "min": 0,
            "max": 1,
            "targetPerReplica": 10,
            "driver": "Operator",
            "cooldownSeconds": 60,
        }
        assert "contract" not in spec
        assert "replicas" not in spec
        assert WorkQueueSpec.model_validate(spec) == WorkQueueSpec.model_validate(work_queue()["spec"])


def test_kubectl_scale_sets_replicas_and_only_in_mode_workers(kube_control_plane: KubeControlPlane) -> None:
    with created(kube_control_plane, work_queue("scaled")):
        done = kube_control_plane.kubectl("scale", "wq/scaled", "--replicas=3")
        assert done.returncode == 0, done.stderr
        assert kube_control_plane.request("GET", f"{WORK_QUEUES}/scaled")[1]["spec"]["replicas"] == 3
        observed = QueueObservation(now=NOW, depth=Depth())
        queue = WorkQueue.parse(kube_control_plane.request("GET", f"{WORK_QUEUES}/scaled")[1])
        status = fold_work_queue_status(queue, observed, selector=selector_text(worker_selector("scaled")))
        _write_status(kube_control_plane, f"{WORK_QUEUES}/scaled", status)
        scale = kube_control_plane.request("GET", f"{WORK_QUEUES}/scaled/scale")[1]
        assert scale["spec"]["replicas"] == 3
        assert (
            scale["status"]["selector"] == "app.kubernetes.io/component=worker,rowlock.dev/work-queue=scaled"
        )
    with created(kube_control_plane, sdk_queue("jobs")):
        done = kube_control_plane.kubectl("scale", "wq/jobs", "--replicas=3")
        assert "use parallelism" in done.stderr


def test_a_status_that_is_folded_is_accepted_whole_and_shown_in_columns(
    kube_control_plane: KubeControlPlane,
) -> None:
    with (
        created(kube_control_plane, work_queue("shown")) as queue,
        created(kube_control_plane, row_source("shown")) as source,
    ):
        depth = Depth(waiting=7, due=5, running=2, oldest_since=datetime.now(UTC))
        status = fold_work_queue_status(
            WorkQueue.parse(queue), QueueObservation(now=NOW, depth=depth, failed=3)
        )
        _write_status(kube_control_plane, f"{WORK_QUEUES}/shown", status)
        seen = SourceObservation(
            now=NOW, pending=1000, running=2, done=40, failed=1, throttled=4, last_claim_at=NOW
        )
        _write_status(
            kube_control_plane, f"{ROW_SOURCES}/shown", fold_row_source_status(RowSource.parse(source), seen)
        )
        rows = kube_control_plane.kubectl("get", "wq/shown").stdout.splitlines()
        assert rows[0].split() == [
            "NAME",
            "MODE",
            "READY",
            "BACKLOG",
            "RUNNING",
            "OLDEST",
            "FAILED",
            "SUSPENDED",
            "AGE",
        ]
        assert rows[1].split()[:5] == ["shown", "Workers", "True", "5", "2"]
        assert rows[1].split()[6:8] == ["3", "false"]
        rows = kube_control_plane.kubectl("get", "rws/shown").stdout.splitlines()
        assert rows[0].split() == ["NAME", "TABLE", "QUEUE", "PENDING", "RUNNING", "DONE", "FAILED", "AGE"]
        assert rows[1].split()[:7] == ["shown", "public.orders", "documents", "1000+", "2", "40", "1"]
        both = kube_control_plane.kubectl("get", "rowlock", "-o", "name").stdout.split()
        assert sorted(both) == ["rowsource.rowlock.dev/shown", "workqueue.rowlock.dev/shown"]


def _write_status(plane: KubeControlPlane, path: str, status: dict[str, Any]) -> None:
    patch = "application/merge-patch+json"
    code, answer = plane.request(
        "PATCH", f"{path}/status?fieldValidation=Strict", {"status": status}, content_type=patch
    )
    assert code == 200, answer
    assert answer["status"] == status  # nothing was pruned


def test_our_short_names_mean_nothing_else_to_kubectl(kube_control_plane: KubeControlPlane) -> None:
    done = kube_control_plane.kubectl("get", "wq,rws")
    assert (done.returncode, done.stderr.strip()) == (0, "No resources found in default namespace.")


def test_kubectl_explains_a_field(kube_control_plane: KubeControlPlane) -> None:
    explained = kube_control_plane.kubectl("explain", "workqueue.spec.scaling.targetPerReplica").stdout
    assert "Runs (waiting and running) one pod should have to itself." in explained


@pytest.mark.parametrize("case", cases("worker_deployment"))
def test_the_real_server_takes_the_deployment_and_an_apply_leaves_replicas_alone(
    kube_control_plane: KubeControlPlane, case: str
) -> None:
    manifest = given("worker_deployment", case)["queue"]
    manifest["metadata"] |= {"namespace": "default", "name": f"built-{case}"}
    queue = WorkQueue.parse(manifest)
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    path = f"{deployments}/built-{case}-worker"
    applied = f"{path}?fieldManager=rowlock-operator&force=true&fieldValidation=Strict"
    first = build_first_worker_deployment(queue=queue, installation=INSTALLATION, replicas=0)
    status, made = kube_control_plane.request(
        "POST", f"{deployments}?fieldManager=rowlock-operator&fieldValidation=Strict", first
    )
    assert status == 201, made
    try:
        assert made["spec"]["replicas"] == 0
        code, answer = kube_control_plane.request(
            "PATCH",
            f"{path}/scale",
            {"spec": {"replicas": 4}},
            content_type="application/merge-patch+json",
        )
        assert code == 200, answer
        manifest = build_worker_deployment(queue=queue, installation=INSTALLATION)
        code, answer = kube_control_plane.request(
            "PATCH", applied, manifest, content_type="application/apply-patch+yaml"
        )
        assert code == 200, answer
        assert answer["spec"]["replicas"] == 4
        again = kube_control_plane.request(
            "PATCH", applied, manifest, content_type="application/apply-patch+yaml"
        )[1]
        assert again["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"]
    finally:
        kube_control_plane.request("DELETE", path)


@pytest.mark.parametrize(
    ("kind", "case"), [(kind, case) for kind in ("sdk_job", "exit_job") for case in cases(kind)]
)
def test_the_real_server_takes_the_kube_job_once(
    kube_control_plane: KubeControlPlane, kind: str, case: str
) -> None:
    loaded = given(kind, case)
    loaded["queue"]["metadata"]["namespace"] = "default"
    queue, run = WorkQueue.parse(loaded["queue"]), RunToLaunch(**loaded["run"])
    kube_job = build_kube_job(queue=queue, installation=INSTALLATION, run=run)
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    status, made = kube_control_plane.request("POST", f"{jobs}?fieldValidation=Strict", kube_job)
    assert status == 201, made
    try:
        assert kube_control_plane.request("POST", jobs, kube_job)[0] == 409
        if queue.spec.row_delivery == "Secret":
            secret = build_row_secret(queue=queue, run=run, kube_job_uid=made["metadata"]["uid"])
            code, answer = kube_control_plane.request(
                "POST", "/api/v1/namespaces/default/secrets?fieldValidation=Strict", secret
            )
            assert code == 201, answer
            kube_control_plane.request(
                "DELETE", f"/api/v1/namespaces/default/secrets/{secret['metadata']['name']}"
            )
    finally:
        options = {"propagationPolicy": "Background"}
        kube_control_plane.request("DELETE", f"{jobs}/{kube_job['metadata']['name']}", options)


def test_the_definitions_are_kept_when_the_chart_goes(kube_control_plane: KubeControlPlane) -> None:
    shown = json.loads(
        kube_control_plane.kubectl("get", "crd", "workqueues.rowlock.dev", "-o", "json").stdout
    )
    assert shown["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert {c["type"]: c["status"] for c in shown["status"]["conditions"]}["NamesAccepted"] == "True"
