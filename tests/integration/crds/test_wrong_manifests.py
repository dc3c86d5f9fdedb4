"""Every wrong manifest is refused by the real API server with a sentence that says what to change."""

from typing import Any

import pytest

from tests.services.kube import KubeControlPlane
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source, sdk_queue, work_queue

pytestmark = pytest.mark.integration

ENV = {"image": "x:1"}


def template(**fields: Any) -> dict[str, Any]:
    return {"template": fields}


def status_column(**fields: Any) -> dict[str, Any]:
    return {"statusColumn": {**STATUS_COLUMN, **fields}}


# what is wrong -> (manifest, words the refusal must hold)
WRONG_QUEUES: dict[str, tuple[Any, ...]] = {
    "no tasks": (work_queue(tasks=[]), "spec.tasks", "at least 1"),
    "tasks missing": (work_queue(tasks=None), "spec.tasks", "Required"),
    "task twice": (work_queue(tasks=["a", "a"]), "spec.tasks[1]", "Duplicate"),
    "task name with a blank": (work_queue(tasks=["process it"]), "spec.tasks[0]", "registered name"),
    "no imports": (work_queue(imports=None), "spec.imports", "list the Python modules"),
    "empty imports": (work_queue(imports=[]), "spec.imports", "list the Python modules"),
    "import as a path": (work_queue(imports=["shop/tasks.py"]), "spec.imports[0]", "dotted name"),
    "imports with Exit": (exit_queue(imports=["shop.tasks"]), "spec.imports", "remove it"),
    "contract with Workers": (
        work_queue(contract="Exit", imports=None, template={"image": "x:1"}),
        "spec.contract",
        "remove it",
    ),
    "unknown contract": (exit_queue(contract="Http"), "spec.contract", '"Sdk", "Exit"'),
    "unknown mode": (work_queue(mode="Threads"), "spec.mode", '"Workers", "Jobs"'),
    "unknown driver": (work_queue(scaling={"driver": "Magic"}), "spec.scaling.driver", '"Operator"'),
    "Exit without an image": (exit_queue(template=None), "spec.template", "name the image"),
    "Exit with an empty image": (exit_queue(template={"image": ""}), "spec.template.image", "at least 1"),
    "image with a blank": (exit_queue(template={"image": "a b"}), "spec.template.image", "without blanks"),
    "args without Exit": (sdk_queue(**template(args=["run"])), "spec.template", "only for contract Exit"),
    "soft over hard": (
        work_queue(limits={"softSeconds": 700}),
        "spec.limits.softSeconds",
        "lower softSeconds or raise hardSeconds",
    ),
    "soft equals hard": (
        work_queue(limits={"softSeconds": 600}),
        "spec.limits.softSeconds",
        "less than hardSeconds",
    ),
    "hard of a year": (
        work_queue(limits={"hardSeconds": 31536000}),
        "spec.limits.hardSeconds",
        "less than or equal to 604800",
    ),
    "hard as text": (
        work_queue(limits={"hardSeconds": "10m"}),
        "spec.limits.hardSeconds",
        "must be of type integer",
    ),
    "min over max": (
        work_queue(scaling={"min": 3, "max": 2}),
        "spec.scaling.min",
        "lower scaling.min or raise scaling.max",
    ),
    "max of none": (work_queue(scaling={"max": 0}), "spec.scaling.max", "greater than or equal to 1"),
    "target of none": (
        work_queue(scaling={"targetPerReplica": 0}),
        "spec.scaling.targetPerReplica",
        "greater than or equal to 1",
    ),
    "scaling with Jobs": (sdk_queue(scaling={"max": 50}), "spec.scaling", "use parallelism"),
    "parallelism with Workers": (work_queue(parallelism=3), "spec.parallelism", "use scaling"),
    "no parallelism": (sdk_queue(parallelism=0), "spec.parallelism", "greater than or equal to 1"),
    "processesPerPod with Jobs": (sdk_queue(processesPerPod=4), "spec.processesPerPod", "remove it"),
    "startingDeadlineSeconds with Workers": (
        work_queue(startingDeadlineSeconds=10),
        "spec.startingDeadlineSeconds",
        "remove it",
    ),
    "ttlSeconds with Workers": (work_queue(ttlSeconds=10), "spec.ttlSeconds", "use history"),
    "replicas with Jobs": (sdk_queue(replicas=2), "spec.replicas", "use parallelism"),
    "negative replicas": (work_queue(replicas=-1), "spec.replicas", "greater than or equal to 0"),
    "Secret delivery without Exit": (sdk_queue(rowDelivery="Secret"), "spec.rowDelivery", "remove it"),
    "backoff over its maximum": (
        work_queue(retry={"app": {"backoffSeconds": 700}}),
        "spec.retry.app.backoffSeconds",
        "raise maxBackoffSeconds",
    ),
    "negative retries": (
        work_queue(retry={"infra": {"limit": -1}}),
        "spec.retry.infra.limit",
        "greater than or equal to 0",
    ),
    "unknown retry class": (work_queue(retry={"input": {"limit": 1}}), "unknown field", "spec.retry.input"),
    "misspelled field": (work_queue(paralelism=3), "unknown field", "spec.paralelism"),
    "our environment": (
        work_queue(**template(env=[{"name": "ROWLOCK_QUEUE", "value": "x"}])),
        "spec.template.env[0].name",
        "remove it",
    ),
    "a row's environment": (
        exit_queue(template={**ENV, "env": [{"name": "ROW_ID", "value": "1"}]}),
        "spec.template",
        "rename the variable",
    ),
    "variable twice": (
        work_queue(**template(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        "env[1]",
        "Duplicate",
    ),
    "variable beginning with a digit": (
        work_queue(**template(env=[{"name": "1A"}])),
        "env[0].name",
        "not beginning with a digit",
    ),
    "value and valueFrom": (
        work_queue(
            **template(
                env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
            )
        ),
        "env[0]",
        "either value or valueFrom",
    ),
    "empty valueFrom": (
        work_queue(**template(env=[{"name": "A", "valueFrom": {}}])),
        "env[0].valueFrom",
        "exactly one of secretKeyRef",
    ),
    "empty envFrom": (
        work_queue(**template(envFrom=[{"prefix": "A_"}])),
        "envFrom[0]",
        "exactly one of secretRef",
    ),
    "our labels": (
        work_queue(**template(metadata={"labels": {"rowlock.dev/run": "x"}})),
        "metadata.labels",
        "remove them",
    ),
    "managed-by": (
        work_queue(**template(metadata={"labels": {"app.kubernetes.io/managed-by": "me"}})),
        "metadata.labels",
        "remove them",
    ),
    "our annotations": (
        work_queue(**template(metadata={"annotations": {"rowlock.dev/row": "x"}})),
        "metadata.annotations",
        "remove them",
    ),
    "mount without volume": (
        work_queue(**template(volumeMounts=[{"name": "data", "mountPath": "/data"}])),
        "volumeMounts",
        "add the missing one",
    ),
    "mount over our files": (
        work_queue(
            **template(
                volumes=[{"name": "d", "emptyDir": {}}],
                volumeMounts=[{"name": "d", "mountPath": "/var/run/rowlock/x"}],
            )
        ),
        "volumeMounts[0].mountPath",
        "choose another path",
    ),
    "relative mount": (
        work_queue(
            **template(
                volumes=[{"name": "d", "emptyDir": {}}], volumeMounts=[{"name": "d", "mountPath": "data"}]
            )
        ),
        "volumeMounts[0].mountPath",
        "absolute path",
    ),
    "our volume name": (
        work_queue(**template(volumes=[{"name": "rowlock-tmp", "emptyDir": {}}])),
        "volumes[0].name",
        "choose another",
    ),
    "volume without a name": (
        work_queue(**template(volumes=[{"emptyDir": {}}])),
        "volumes[0].name",
        "Required",
    ),
    "database without a Secret": (
        work_queue(databaseRef={"key": "url"}),
        "spec.databaseRef.secretName",
        "Required",
    ),
    "Secret name in capitals": (
        work_queue(databaseRef={"secretName": "Database"}),
        "spec.databaseRef.secretName",
        "lower-case",
    ),
    "long name": (work_queue("q" * 51), "at most 50 characters", "choose a shorter one"),
    "dotted name": (work_queue("a.b"), "no dot", "choose a shorter one"),
    "grace without Exit": (
        work_queue(**template(terminationGracePeriodSeconds=60)),
        "spec.template",
        "only for contract Exit",
    ),
    "grace of an Sdk job": (
        sdk_queue(**template(terminationGracePeriodSeconds=60)),
        "spec.template",
        "hardSeconds and 30 more",
    ),
    "no grace at all": (
        exit_queue(template={**ENV, "terminationGracePeriodSeconds": 0}),
        "terminationGracePeriodSeconds",
        "equal to 1",
    ),
    "spread of nobody": (
        work_queue(
            **template(
                topologySpreadConstraints=[
                    {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            )
        ),
        "topologySpreadConstraints[0].maxSkew",
        "greater than or equal to 1",
    ),
    "spread over nothing": (
        work_queue(
            **template(topologySpreadConstraints=[{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}])
        ),
        "topologySpreadConstraints[0].topologyKey",
        "Required",
    ),
    "spread with another word": (
        work_queue(
            **template(
                topologySpreadConstraints=[
                    {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "Sometimes"}
                ]
            )
        ),
        "whenUnsatisfiable",
        '"DoNotSchedule", "ScheduleAnyway"',
    ),
    "scheduler with a blank": (
        work_queue(**template(schedulerName="my scheduler")),
        "spec.template.schedulerName",
        "lower-case",
    ),
    "runtime class in capitals": (
        exit_queue(template={**ENV, "runtimeClassName": "GVisor"}),
        "runtimeClassName",
        "lower-case",
    ),
    "no spec": ({**work_queue(), "spec": None}, "spec", "Required"),
    "no fields": ({**work_queue(), "spec": {}}, "spec.tasks", "Required"),
}

WRONG_SOURCES: dict[str, tuple[Any, ...]] = {
    "no queue": (row_source(workQueueRef=None), "spec.workQueueRef", "Required"),
    "queue in another namespace": (
        row_source(workQueueRef={"name": "other/queue"}),
        "spec.workQueueRef.name",
        "lower-case letters",
    ),
    "no table": (row_source(table=None), "spec.table", "Required"),
    "three-part table": (row_source(table="db.public.orders"), "spec.table", "schema.table"),
    "table with a blank": (row_source(table="public.my orders"), "spec.table", "double quotes"),
    "table as a query": (row_source(table="(select 1)"), "spec.table", "schema.table"),
    "no key": (row_source(key=None), "spec.key", "Required"),
    "key with quotes": (row_source(key='"id"'), "spec.key", "without quotes"),
    "no pending": (row_source(pending=None), "spec.pending", "Required"),
    "empty pending": (row_source(pending=""), "spec.pending", "at least 1"),
    "blank pending": (row_source(pending="  "), "spec.pending", "write the condition"),
    "two statements": (row_source(pending="true; drop table orders"), "spec.pending", "without ';'"),
    "comment": (row_source(pending="true -- all"), "spec.pending", "without comments"),
    "where clause": (row_source(pending="WHERE status = 'new'"), "spec.pending", "remove the SQL keyword"),
    "whole query": (row_source(pending="select * from orders"), "spec.pending", "remove the SQL keyword"),
    "columns and args": (row_source(args={"id": "id"}), "spec", "exactly one of columns"),
    "neither columns nor args": (row_source(columns=None), "spec", "exactly one of columns"),
    "empty columns": (row_source(columns=[]), "spec.columns", "at least 1"),
    "column twice": (row_source(columns=["id", "id"]), "spec.columns[1]", "Duplicate"),
    "args with a dash": (
        row_source(columns=None, args={"order-id": "id"}),
        "spec.args",
        "rename the argument",
    ),
    "order with a comma": (row_source(orderBy=["created_at, id"]), "spec.orderBy[0]", "further items"),
    "order with quotes": (row_source(orderBy=['"createdAt" desc']), "spec.orderBy[0]", "one column"),
    "no task": (row_source(task=None), "spec.task", "Required"),
    "priority too high": (row_source(priority=101), "spec.priority", "less than or equal to 100"),
    "priority too low": (row_source(priority=-101), "spec.priority", "greater than or equal to -100"),
    "status column without values": (
        row_source(statusColumn={"name": "status"}),
        "spec.statusColumn.claimed",
        "Required",
    ),
    "claimed as succeeded": (
        row_source(**status_column(claimed="done")),
        "spec.statusColumn.claimed",
        "choose another value",
    ),
    "claimed as failed": (
        row_source(**status_column(claimed="error")),
        "spec.statusColumn.claimed",
        "choose another value",
    ),
    "claimed as canceled": (
        row_source(**status_column(canceled="queued")),
        "spec.statusColumn.claimed",
        "choose another value",
    ),
    "succeeded as failed": (
        row_source(**status_column(failed="done")),
        "spec.statusColumn.failed",
        "must differ",
    ),
    "succeeded as canceled": (
        row_source(**status_column(canceled="done")),
        "spec.statusColumn.canceled",
        "must differ",
    ),
    "error in the status column": (
        row_source(**status_column(errorColumn="status")),
        "spec.statusColumn.errorColumn",
        "another column",
    ),
    "key as status column": (
        row_source(**status_column(name="id")),
        "spec.statusColumn",
        "another column than key",
    ),
    "key as error column": (
        row_source(**status_column(errorColumn="id")),
        "spec.statusColumn",
        "another column than key",
    ),
    "neither status column nor again": (
        row_source(again=None),
        "without statusColumn say when",
        "again: {never: true}",
    ),
    "status column and again": (
        row_source(statusColumn=STATUS_COLUMN, again={"never": True}),
        "spec.again",
        "remove again or statusColumn",
    ),
    "again of nothing": (row_source(again={}), "spec.again", "exactly one of never"),
    "again of two": (
        row_source(again={"never": True, "everySeconds": 5}),
        "spec.again",
        "exactly one of never",
    ),
    "again as a word": (row_source(again="never"), "spec.again", "must be of type object"),
    "never as no": (
        row_source(again={"never": False}),
        "spec.again.never",
        "give versionColumn or everySeconds",
    ),
    "the key as version": (
        row_source(again={"versionColumn": "id"}),
        "spec.again",
        "another column than key",
    ),
    "version with quotes": (
        row_source(again={"versionColumn": '"v"'}),
        "spec.again.versionColumn",
        "without quotes",
    ),
    "again at once": (
        row_source(again={"everySeconds": 0}),
        "spec.again.everySeconds",
        "greater than or equal to 1",
    ),
    "again after a moment": (
        row_source(again={"everySeconds": "1h"}),
        "spec.again.everySeconds",
        "must be of type integer",
    ),
    "limit of nothing": (row_source(limits=[{"name": "a"}]), "spec.limits[0]", "concurrency, rate or both"),
    "limit names twice": (
        row_source(limits=[{"name": "a", "concurrency": 1}, {"name": "a", "concurrency": 2}]),
        "spec.limits[1]",
        "Duplicate",
    ),
    "limit without a name": (row_source(limits=[{"concurrency": 1}]), "spec.limits[0].name", "Required"),
    "burst of none": (
        row_source(limits=[{"name": "a", "rate": {"count": 1, "burst": 0}}]),
        "rate.burst",
        "or equal to 1",
    ),
    "rate of none": (
        row_source(limits=[{"name": "a", "rate": {"count": 0}}]),
        "limits[0].rate.count",
        "greater than or equal to 1",
    ),
    "rate per no time": (
        row_source(limits=[{"name": "a", "rate": {"count": 1, "perSeconds": 0}}]),
        "rate.perSeconds",
        "or equal to 1",
    ),
    "concurrency of none": (
        row_source(limits=[{"name": "a", "concurrency": 0}]),
        "limits[0].concurrency",
        "greater than or equal to 1",
    ),
    "nine limits": (
        row_source(limits=[{"name": f"l{n}", "concurrency": 1} for n in range(9)]),
        "spec.limits",
        "at most 8",
    ),
    "misspelled field": (row_source(fairness="id"), "unknown field", "spec.fairness"),
    "dotted name": (row_source("a.b"), "no dot", "choose another"),
}

PLURAL = {"WorkQueue": "workqueues", "RowSource": "rowsources"}


def path(manifest: dict[str, Any], name: str = "") -> str:
    whole = f"/apis/rowlock.dev/v1alpha1/namespaces/default/{PLURAL[manifest['kind']]}"
    return whole + (f"/{name}" if name else "")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        pytest.param(case[0], case[1:], id=f"{kind}: {wrong}")
        for kind, table in (("queue", WRONG_QUEUES), ("source", WRONG_SOURCES))
        for wrong, case in table.items()
    ],
)
def test_a_wrong_manifest_is_refused_with_what_to_change(
    kube_control_plane: KubeControlPlane, manifest: dict[str, Any], words: tuple[str, ...]
) -> None:
    status, answer = kube_control_plane.request(
        "POST", path(manifest) + "?dryRun=All&fieldValidation=Strict", manifest
    )
    assert status in (400, 422), answer
    missing = [word for word in words if word not in answer["message"]]
    assert missing == [], answer["message"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        pytest.param(
            work_queue("fixed"), sdk_queue("fixed"), ("spec.mode", "create another WorkQueue"), id="mode"
        ),
        pytest.param(
            row_source("fixed"),
            row_source("fixed", table="public.other"),
            ("spec.table", "create another RowSource"),
            id="table",
        ),
        pytest.param(
            row_source("fixed"),
            row_source("fixed", key="number"),
            ("spec.key", "create another RowSource"),
            id="key",
        ),
    ],
)
def test_what_runs_in_flight_depend_on_cannot_be_changed(
    kube_control_plane: KubeControlPlane,
    before: dict[str, Any],
    after: dict[str, Any],
    words: tuple[str, ...],
) -> None:
    status, made = kube_control_plane.request("POST", path(before), before)
    assert status == 201, made
    try:
        after = {
            **after,
            "metadata": {**after["metadata"], "resourceVersion": made["metadata"]["resourceVersion"]},
        }
        status, answer = kube_control_plane.request("PUT", path(after, "fixed"), after)
        assert status == 422, answer
        assert [word for word in words if word not in answer["message"]] == [], answer["message"]
    finally:
        kube_control_plane.request("DELETE", path(before, "fixed"))
