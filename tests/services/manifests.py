"""Manifests that are right, to be changed by a test in the one place it is about."""

import copy
from typing import Any

Manifest = dict[str, Any]


def work_queue(name: str = "documents", **spec: Any) -> Manifest:
    """A WorkQueue of warm workers; `spec` replaces fields, None removes one."""
    return _manifest("WorkQueue", name, {"imports": ["shop.tasks"], "tasks": ["process"]}, spec)


def exit_queue(name: str = "resize", **spec: Any) -> Manifest:
    """A WorkQueue of one kube job a run, of any image."""
    given: Manifest = {
        "mode": "Jobs",
        "contract": "Exit",
        "tasks": ["resize"],
        "template": {"image": "registry.example/resize:1"},
    }
    return _manifest("WorkQueue", name, given, spec)


def sdk_queue(name: str = "reports", **spec: Any) -> Manifest:
    """A WorkQueue of one kube job a run, of the worker image."""
    return _manifest(
        "WorkQueue",
        name,
        {"mode": "Jobs", "contract": "Sdk", "imports": ["shop.tasks"], "tasks": ["report"]},
        spec,
    )


def row_source(name: str = "orders", **spec: Any) -> Manifest:
    """A RowSource on public.orders."""
    given: Manifest = {
        "workQueueRef": {"name": "documents"},
        "table": "public.orders",
        "key": "id",
        "pending": "status = 'new'",
        "columns": ["id", "amount"],
        "task": "process",
    }
    if not spec.get("statusColumn"):
        given["again"] = {"never": True}
    return _manifest("RowSource", name, given, spec)


def monitoring_process(name: str = "watch", **spec: Any) -> Manifest:
    """A MonitoringProcess with one login, one prompt and a model inside the cluster."""
    given: Manifest = {
        "owner": "ada",
        "site": {"driver": "mymoment", "baseURL": "https://site.example"},
        "logins": [{"name": "ada", "secretRef": {"name": "login-ada"}}],
        "prompts": [{"name": "kind", "template": "Comment on {article_title}: {article_content}"}],
        "llm": {"provider": "compatible", "model": "small", "baseURL": "http://llm:8080/v1"},
    }
    return _manifest("MonitoringProcess", name, given, spec)


STATUS_COLUMN: Manifest = {
    "name": "status",
    "claimed": "queued",
    "succeeded": "done",
    "failed": "error",
    "errorColumn": "error",
}


def _manifest(kind: str, name: str, given: Manifest, changes: Manifest) -> Manifest:
    spec = {key: value for key, value in {**given, **changes}.items() if value is not None}
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "rowlock.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": copy.deepcopy(spec),
    }
