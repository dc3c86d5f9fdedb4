"""Values that mean nothing are refused before anything is installed, in words that name them."""

import re

import pytest
import yaml

from tests.chart.rendering import CHART, case_names, helm, pick, render, template

QUEUES = ("monitoring", "comments", "sessions", "timeouts", "scheduler", "celery")

WRONG = {
    "a misspelt name": (["--set", "embeded.enabled=false"], "'embeded' not allowed"),
    "a misspelt name below": (["--set", "operator.replica=2"], "'replica' not allowed"),
    "text for a number": (
        ["--set", "operator.replicas=two"],
        "'/operator/replicas': got string, want integer",
    ),
    "a negative number": (["--set", "operator.replicas=-1"], "'/operator/replicas'"),
    "an unknown scope": (
        ["--set", "rbac.scope=galaxy"],
        "'/rbac/scope': value must be one of 'namespace', 'cluster'",
    ),
    "a lease too short to renew": (
        ["--set", "operator.leaseSeconds=1"],
        "'/operator/leaseSeconds': minimum: got 1, want 4",
    ),
    "an unknown pull policy": (["--set", "worker.image.pullPolicy=Sometimes"], "'/worker/image/pullPolicy'"),
    "half a digest": (["--set", "operator.image.digest=sha256:12"], "'/operator/image/digest'"),
    "a namespace that cannot exist": (["--set", "watchNamespaces={My_Space}"], "'/watchNamespaces/0'"),
    "no database": (
        ["--set", "embedded.enabled=false", "--set", "redis.existingSecret=r"],
        "No database: set database.existingSecret",
    ),
    "no Redis": (
        ["--set", "embedded.enabled=false", "--set", "database.existingSecret=d"],
        "No Redis: set redis.existingSecret",
    ),
    "documents that nobody serves": (["--set", "watchNamespaces={shop}"], "add demo to watchNamespaces"),
    "a monitor without its Service": (
        ["--set", "metrics.serviceMonitor.enabled=true", "--set", "metrics.service.enabled=false"],
        "needs metrics.service.enabled=true",
    ),
    "two volumes in one": (
        ["--set", "domain.documents.volume.hostPath.path=/x", "--set", "domain.documents.volume.nfs.path=/y"],
        "one volume source, not hostPath and nfs",
    ),
    "a soft limit above the hard one": (
        ["--set", "domain.documents.limits.softSeconds=900"],
        "softSeconds must be smaller than hardSeconds",
    ),
    "more workers at least than at most": (
        ["--set", "domain.documents.scaling.min=9"],
        "min must not be greater than max",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_values_are_refused_with_a_sentence(wrong: str) -> None:
    arguments, sentence = WRONG[wrong]
    done = template(*arguments)
    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize("case", case_names())
def test_lint_finds_nothing(case: str) -> None:
    done = helm(
        "lint",
        "--strict",
        str(CHART),
        "--values",
        str(CHART.parents[1] / f"tests/chart/golden/{case}/values.yaml"),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_value_is_explained() -> None:
    """The line before each value is a `##` sentence. Requests and limits belong to the sentence of their
    block.
    """
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = [
        line.strip()
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"^ *[A-Za-z_]+: *\S", line)
        and not re.match(r"^ *(requests|limits): {(cpu|memory)", line)
        and "##" not in before
    ]
    assert bare == []


def test_schema_knows_every_value_and_no_other() -> None:
    def paths(node: object, prefix: str = "") -> set[str]:
        if isinstance(node, dict) and node:
            return set().union(*(paths(value, f"{prefix}/{key}") for key, value in node.items()))
        return {prefix}

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def known(node: dict[str, object], prefix: str = "") -> set[str]:
        reference = node.get("$ref")
        if isinstance(reference, str):
            node = schema["$defs"][reference.rsplit("/", 1)[-1]]
        children = node.get("properties")
        if isinstance(children, dict):
            return set().union(*(known(child, f"{prefix}/{name}") for name, child in children.items()))
        return {prefix}

    in_schema = known(schema)
    free = tuple(path + "/" for path in in_schema)
    assert {path for path in paths(values) if path not in in_schema and not path.startswith(free)} == set()
    # Optional fields of our kinds pass through without a default here.
    optional = {
        "/global",
        "/domain/documents/limits/tasksPerChild",
        "/domain/documents/scaling/driver",
        "/domain/documents/scaling/cooldownSeconds",
        *(
            f"/domain/monitoring/scaling/{queue}/{field}"
            for queue in QUEUES
            for field in ("driver", "cooldownSeconds")
        ),
    }
    in_values = paths(values)
    assert {
        path
        for path in in_schema - optional
        if not any(value == path or value.startswith(path + "/") for value in in_values)
    } == set()


def test_names_stay_valid_for_the_longest_release_name() -> None:
    done = helm("template", "r" * 53, str(CHART), "--namespace", "demo")
    assert done.returncode == 0, done.stderr
    for document in yaml.safe_load_all(done.stdout):
        if document and document["kind"] in ("Service", "StatefulSet", "Deployment"):
            assert len(document["metadata"]["name"]) <= 63 - len("-0123456789")


def test_own_objects_are_rendered_with_the_release() -> None:
    own = "extraObjects[0]=apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-own'}"
    pick(render("--set", own.replace(",", "\\,")), "ConfigMap", "rowlock-own")


def test_two_replicas_have_a_budget_and_one_has_none() -> None:
    """A budget over a single pod would block every node drain."""
    assert "PodDisruptionBudget" in {d["kind"] for d in render()}
    assert "PodDisruptionBudget" not in {d["kind"] for d in render("--set", "operator.replicas=1")}
