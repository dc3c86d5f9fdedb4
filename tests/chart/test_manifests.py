"""What is rendered is valid for Kubernetes and agrees with the rest of the repository."""

import re
import subprocess

import kubernetes_validate
import pytest

from rowlock_operator import settings
from tests.chart.rendering import CHART, ROOT, Document, case_names, helm, pick, render, render_case

# Schemas of these come with CRDs; WorkQueue and RowSource are checked by a real API server in
# test_install.py.
NOT_BUILT_IN = ("rowlock.dev/v1alpha1", "monitoring.coreos.com/v1")


@pytest.mark.parametrize("case", case_names())
def test_every_built_in_document_is_valid(case: str) -> None:
    checked = 0
    for document in render_case(case):
        if document["apiVersion"] not in NOT_BUILT_IN:
            kubernetes_validate.validate(document, "1.37", strict=True)
            checked += 1
    assert checked


def test_an_invalid_document_would_be_seen() -> None:
    """Negative twin of the check above."""
    document = pick(render_case("default"), "Service", "rowlock-redis")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**document, "spec": {**document["spec"], "sesionAffinity": "None"}}, "1.37", strict=True
        )


@pytest.mark.parametrize("case", case_names())
def test_every_name_is_there_once(case: str) -> None:
    keys = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in render_case(case)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("case", case_names())
def test_every_namespaced_object_says_its_namespace(case: str) -> None:
    """`helm template | kubectl apply` would otherwise put it wherever the reader is."""
    for document in render_case(case):
        is_namespaced = not document["kind"].startswith("Cluster")
        assert ("namespace" in document["metadata"]) == is_namespaced, document["metadata"]["name"]


def test_selectors_find_their_pods_and_no_other() -> None:
    documents = render_case("default")
    pods = {
        d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"]
        for d in documents
        if d["kind"] in ("Deployment", "StatefulSet")
    }
    for document in documents:
        if document["kind"] == "Service":
            selector = document["spec"]["selector"].items()
            assert [name for name, labels in pods.items() if selector <= labels.items()] == [
                document["metadata"]["name"]
            ]


def test_chart_holds_the_generated_definitions() -> None:
    done = subprocess.run(
        [ROOT / "charts/sync_crds.sh", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environment(documents: list[Document]) -> dict[str, str]:
    container = pick(documents, "Deployment", "rowlock-operator")["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "from-the-pod") for entry in container["env"]}


@pytest.mark.parametrize("case", ["default", "monitoring", "cluster-scope"])
def test_operator_understands_its_environment(case: str) -> None:
    settings.load(environment(render_case(case)))


def test_operator_knows_each_variable_that_the_chart_sets() -> None:
    known = set(
        re.findall(r'_env\(\s*"([A-Z_]+)"', (ROOT / "operator/rowlock_operator/settings.py").read_text())
    )
    # Read by the command line inside the operator's pod, not by the operator.
    assert environment(render_case("default")).keys() - known == {"ROWLOCK_DATABASE_URL_FILE"}


def metrics_in_alerts() -> list[str]:
    rule = pick(render_case("monitoring"), "PrometheusRule", "rowlock-operator")
    expressions = " ".join(r["expr"] for group in rule["spec"]["groups"] for r in group["rules"])
    return sorted(set(re.findall(r"\browlock_\w+", expressions)))


@pytest.mark.parametrize("metric", metrics_in_alerts())
def test_alerts_use_metrics_that_the_operator_reports(metric: str) -> None:
    declared = "".join(
        path.read_text() for path in (ROOT / "operator/rowlock_operator/telemetry").glob("*.py")
    )
    assert f'"{metric}"' in declared


def test_alerts_look_at_this_release_only() -> None:
    rule = pick(render_case("monitoring"), "PrometheusRule", "rowlock-operator")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert re.findall(r"rowlock_\w+\{([^}]*)\}", alert["expr"]) == [
            'namespace="demo",job="rowlock-operator"'
        ], alert["alert"]
        assert alert["annotations"]["description"], alert["alert"]


def notes(*arguments: str) -> str:
    """What `helm install` prints at its end (no cluster is asked)."""
    done = helm("install", "rowlock", str(CHART), "--namespace", "demo", "--dry-run=client", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_notes_warn_of_development_databases_and_only_then() -> None:
    assert "DEVELOPMENT DATABASES ARE ON: one PostgreSQL and one Redis" in notes()
    assert "EVERY ROW IS LOST" in notes()
    assert "EVERY ROW IS LOST" not in notes("--set", "embedded.postgresql.persistence.enabled=true")
    own = notes("--set", "embedded.enabled=false,database.existingSecret=d,redis.existingSecret=r")
    assert "DEVELOPMENT" not in own
    assert "helm test rowlock -n demo" in own
    assert "helm show crds" not in own, "a hook does it"
    assert "helm show crds" in notes("--set", "crds.upgrade=false")


def test_documents_volume_is_empty_unless_given() -> None:
    """Helm merges maps: a default volume source would stay beside the user's own."""

    def volumes(*arguments: str) -> list[Document]:
        volumes: list[Document] = pick(render(*arguments), "WorkQueue", "documents")["spec"]["template"][
            "volumes"
        ]
        return volumes

    assert volumes() == [{"name": "documents", "emptyDir": {}}]
    given = ("--set", "domain.documents.volume.hostPath.path=/srv/documents")
    assert volumes(*given) == [{"name": "documents", "hostPath": {"path": "/srv/documents"}}]
