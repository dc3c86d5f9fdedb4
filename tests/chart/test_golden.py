"""Whole renderings, compared with committed ones (ROWLOCK_GOLDEN=write writes them anew); each case has its
point asserted by hand.
"""

import os

import pytest

from tests.chart.rendering import CASES, Document, case_names, pick, render_case, stable_text


@pytest.mark.parametrize("case", case_names())
def test_rendering_is_the_committed_one(case: str) -> None:
    expected = CASES / case / "expected.yaml"
    actual = stable_text(render_case(case))
    if os.environ.get("ROWLOCK_GOLDEN") == "write":
        expected.write_text(actual)
    assert expected.read_text() == actual, "run with ROWLOCK_GOLDEN=write if the change is meant"


def names(documents: list[Document], kind: str) -> list[str]:
    return sorted(d["metadata"]["name"] for d in documents if d["kind"] == kind)


def operator_environment(documents: list[Document]) -> dict[str, str]:
    operator = pick(documents, "Deployment", "rowlock-operator")["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in operator["env"]}


def test_default_brings_everything_for_development() -> None:
    documents = render_case("default")
    assert names(documents, "Secret") == ["rowlock-database", "rowlock-redis"]
    assert names(documents, "StatefulSet") == ["rowlock-postgresql"]
    assert names(documents, "WorkQueue") == names(documents, "RowSource") == ["documents"]
    assert pick(documents, "Deployment", "rowlock-operator")["spec"]["replicas"] == 2
    lasting = [d for d in documents if "helm.sh/hook" not in d["metadata"].get("annotations", {})]
    assert names(lasting, "ClusterRole") == ["demo-rowlock-editor", "demo-rowlock-viewer"], (
        "no cluster-wide right for the operator"
    )
    assert names(lasting, "ClusterRoleBinding") == []


def test_existing_secrets_replace_the_embedded_databases() -> None:
    documents = render_case("existing-secrets")
    assert names(documents, "Secret") == names(documents, "StatefulSet") == []
    environment = operator_environment(documents)
    assert (environment["ROWLOCK_DATABASE_SECRET"], environment["ROWLOCK_REDIS_SECRET"]) == (
        "production-database",
        "production-redis",
    )
    assert (
        pick(documents, "WorkQueue", "documents")["spec"]["databaseRef"]["secretName"]
        == "production-database"
    )
    assert environment["ROWLOCK_WORKER_IMAGE"] == "registry.example/rowlock-worker:1.2.3"


def test_cluster_scope_watches_all_namespaces_with_one_cluster_role() -> None:
    documents = render_case("cluster-scope")
    assert names(documents, "Role") == ["rowlock-operator-leader"]
    assert "demo-rowlock-operator" in names(documents, "ClusterRoleBinding")
    assert operator_environment(documents)["ROWLOCK_WATCH_NAMESPACES"] == "*"


def test_passwords_are_kept_where_the_volume_outlives_the_release() -> None:
    kept = pick(render_case("cluster-scope"), "Secret", "rowlock-database")["metadata"]["annotations"]
    assert kept == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in pick(render_case("default"), "Secret", "rowlock-database")["metadata"]


def test_each_watched_namespace_gets_the_same_role() -> None:
    documents = render_case("monitoring")
    roles = {
        d["metadata"]["namespace"]: d["rules"]
        for d in documents
        if d["kind"] == "Role" and d["metadata"]["name"] == "rowlock-operator"
    }
    assert sorted(roles) == ["demo", "shop"]
    assert roles["demo"] == roles["shop"]
    assert operator_environment(documents)["ROWLOCK_WATCH_NAMESPACES"] == "demo,shop"


def test_everything_off_leaves_the_operator_and_the_helm_test() -> None:
    documents = render_case("everything-off")
    assert sorted((d["kind"], d["metadata"]["name"]) for d in documents) == [
        ("Deployment", "rowlock-operator"),
        ("Pod", "rowlock-test"),
    ]
