"""The kube job of one attempt: with our runner in the pod (Sdk), or any image at all (Exit)."""

from rowlock_operator.api.labels import (
    CONTAINER,
    CONTRACT_LABEL,
    ROW,
    kube_job_name,
    run_labels,
    run_selector,
)
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.fingerprint import with_fingerprint
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.owners import owner_reference
from rowlock_operator.desired.pods import (
    SECRETS_FOLDER,
    child_labels,
    database_volume,
    foreign_container,
    pod_annotations,
    pod_spec,
    pod_template,
    secret_mount,
    tmp_mounts,
    tmp_volumes,
    variable,
    worker_container,
    worker_env,
)
from rowlock_operator.desired.runs import RunToLaunch, check_size, row_json, row_variables


def build_kube_job(*, queue: WorkQueue, installation: Installation, run: RunToLaunch) -> Manifest:
    """The kube job that the queue's contract asks for. Raises GiveUp where the row does not fit into a
    pod.
    """
    if queue.spec.is_exit:
        return build_exit_job(queue=queue, installation=installation, run=run)
    return build_sdk_job(queue=queue, installation=installation, run=run)


def build_sdk_job(*, queue: WorkQueue, installation: Installation, run: RunToLaunch) -> Manifest:
    """`rowlock-worker once`: the pod holds the fences itself and reads its arguments from the ledger."""
    template = queue.spec.template
    container = worker_container(
        queue,
        installation,
        args=["once"],
        env=[
            *worker_env(queue),
            variable("ROWLOCK_RUN_ID", run.run_id),
            variable("ROWLOCK_ATTEMPT", run.attempt),
        ],
        mounts=[secret_mount("rowlock-database", "database"), *tmp_mounts(template)],
    )
    volumes = [database_volume(queue, installation), *tmp_volumes(template, installation)]
    return _kube_job(queue, installation, run, container, volumes)


def build_exit_job(*, queue: WorkQueue, installation: Installation, run: RunToLaunch) -> Manifest:
    """Any image: the row comes as a file, and its short columns as environment, too; exit code 0 is success;
    no Secret of ours is in reach.

    Raises GiveUp (reasons RowTooLarge, RowNamesCollide).
    """
    by_secret = queue.spec.row_delivery == "Secret"
    check_size(run, by_secret=by_secret, other_annotations=pod_annotations(queue, installation))
    name = kube_job_name(queue.metadata.name, run.run_id, run.attempt)
    variables = row_variables(run)
    if by_secret:
        row_env = [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
            for key in variables.given
        ]
        source: Manifest = {
            "secret": {
                "secretName": name,
                "defaultMode": 0o444,
                "items": [{"key": "row.json", "path": "row.json"}],
            }
        }
    else:
        row_env = [variable(key, _literal(text)) for key, text in variables.given.items()]
        field = {"fieldPath": f"metadata.annotations['{ROW}']"}
        source = {"downwardAPI": {"defaultMode": 0o444, "items": [{"path": "row.json", "fieldRef": field}]}}
    container = foreign_container(
        queue,
        installation,
        env=[
            variable("ROWLOCK_RUN_ID", run.run_id),
            variable("ROWLOCK_ATTEMPT", run.attempt),
            variable("ROWLOCK_QUEUE", queue.metadata.key),
            variable("ROWLOCK_TASK", run.task),
            variable("ROWLOCK_ROW_FILE", f"{SECRETS_FOLDER}/row.json"),
            *([variable("ROWLOCK_ROW_FILE_ONLY", variables.missing)] if variables.in_file_only else []),
            *row_env,
        ],
        mounts=[{"name": "rowlock-row", "mountPath": SECRETS_FOLDER, "readOnly": True}],
    )
    annotations = None if by_secret else {ROW: row_json(run)}
    return _kube_job(queue, installation, run, container, [{"name": "rowlock-row", **source}], annotations)


def build_row_secret(*, queue: WorkQueue, run: RunToLaunch, kube_job_uid: str) -> Manifest:
    """The row of an Exit run with rowDelivery Secret.

    Made after its kube job and owned by it, so that it goes with it whatever crashes; the pod waits until it
    is there.
    """
    name = kube_job_name(queue.metadata.name, run.run_id, run.attempt)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": name,
            "namespace": queue.metadata.namespace,
            "labels": run_labels(queue.metadata.name, run.run_id, run.attempt),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": kube_job_uid}],
        },
        "stringData": {"row.json": row_json(run), **row_variables(run).given},
    }


def _kube_job(
    queue: WorkQueue,
    installation: Installation,
    run: RunToLaunch,
    container: Manifest,
    volumes: list[Manifest],
    annotations: dict[str, str] | None = None,
) -> Manifest:
    name, spec = queue.metadata.name, queue.spec
    pod = pod_spec(queue, container=container, volumes=volumes, counted=run_selector(name))
    # The contract tells a network policy which pods have no business with our databases.
    labels = {**run_labels(name, run.run_id, run.attempt), CONTRACT_LABEL: "Exit" if spec.is_exit else "Sdk"}
    return with_fingerprint(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": kube_job_name(name, run.run_id, run.attempt),
                "namespace": queue.metadata.namespace,
                "labels": child_labels(queue, installation, labels),
                "ownerReferences": [owner_reference(queue.metadata)],
            },
            "spec": {
                "completions": 1,
                "parallelism": 1,
                # One pod, once: a second pod would be a second start of the same attempt. The ledger alone
                # retries.
                "backoffLimit": 0,
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": _pod_failure_policy(),
                "activeDeadlineSeconds": spec.limits.hard_seconds + spec.starting_deadline_seconds,
                # No ttlSecondsAfterFinished: a kube job that went before its outcome was recorded would be
                # made, and run, again.
                "template": pod_template(
                    labels, queue, installation, {**pod, "restartPolicy": "Never"}, annotations
                ),
            },
        }
    )


def _pod_failure_policy() -> Manifest:
    """Writes into the kube job's own condition why its pod failed, so that the reason survives the pod."""
    return {
        "rules": [
            {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": CONTAINER, "operator": "NotIn", "values": [0]},
            },
        ]
    }


def _literal(text: str) -> str:
    """Kubernetes replaces $(NAME), and $$ by $, in a value; a row's text must arrive as it is."""
    return text.replace("$", "$$")
