"""crds/ is what the models say, and the models say enough."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowlock_operator.api import reasons
from rowlock_operator.api.crds import build_crds
from rowlock_operator.api.generate import files, main
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.errors import InvalidSpec
from tests.services.manifests import row_source, work_queue

CRDS = Path(__file__).parents[4] / "crds"


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from fields(child, f"{path}.{name}")
    for inner, suffix in ((schema.get("items"), "[]"), (schema.get("additionalProperties"), "{}")):
        if isinstance(inner, dict):
            yield from fields(inner, path + suffix)


def every_field() -> Iterator[tuple[str, dict[str, Any]]]:
    for crd in build_crds():
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            yield from fields(schema["properties"][part], f"{crd['spec']['names']['kind']}.{part}")


def test_the_committed_definitions_are_the_generated_ones() -> None:
    definitions = {f"crds/{path.name}": path.read_text() for path in CRDS.glob("*.yaml")}
    assert definitions == {name: text for name, text in files().items() if name.startswith("crds/")}
    assert main(["--check", str(CRDS.parent)]) == 0


def test_the_check_sees_a_stale_definition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    stale = tmp_path / "crds/rowlock.dev_workqueues.yaml"
    stale.write_text(stale.read_text().replace("shortNames", "shortnames"))
    assert main(["--check", str(tmp_path)]) == 1
    assert "rowlock.dev_workqueues.yaml" in capsys.readouterr().err


def test_every_field_explains_itself() -> None:
    silent = [
        path
        for path, schema in every_field()
        if "description" not in schema and not path.endswith(("[]", "{}"))
    ]
    assert silent == []


def test_every_field_of_a_spec_is_bounded() -> None:
    """The API server reckons the cost of CEL rules from the bounds, and a user's mistake should not fill
    etcd.
    """
    bound = {"string": "maxLength", "integer": "maximum", "array": "maxItems"}
    free = [
        path
        for path, schema in every_field()
        if ".spec" in path
        and "enum" not in schema
        and schema.get("type") in bound
        and bound[schema["type"]] not in schema
    ]
    assert [path for path in free if not path.endswith(".tolerationSeconds")] == []


def test_every_list_says_how_it_merges() -> None:
    assert [
        path
        for path, schema in every_field()
        if schema.get("type") == "array" and "x-kubernetes-list-type" not in schema
    ] == []


def test_every_rule_has_a_message_that_is_not_the_rule() -> None:
    made = [
        (path, rule) for path, schema in every_field() for rule in schema.get("x-kubernetes-validations", ())
    ]
    assert made
    assert [path for path, rule in made if len(rule.get("message", "").split()) < 4] == []


def test_reasons_are_distinct_camel_case_words() -> None:
    names = [reason.name for reason in reasons.ALL]
    assert len(set(names)) == len(names) > 20
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


def test_a_field_of_a_newer_version_is_ignored() -> None:
    assert WorkQueue.parse(work_queue(fromTheFuture={"x": 1})).spec.tasks == ["process"]


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(InvalidSpec) as refused:
        RowSource.parse(row_source(priority=1000))
    assert refused.value.field == "spec.priority"


def test_a_status_that_cannot_be_read_does_not_keep_the_spec_from_being_read() -> None:
    manifest = {**work_queue(), "status": {"replicas": "many"}}
    assert WorkQueue.parse(manifest).status.replicas is None


def test_columns_and_args_are_one_mapping() -> None:
    assert RowSource.parse(row_source()).spec.argument_columns == {"id": "id", "amount": "amount"}
    assert RowSource.parse(row_source(columns=None, args={"order": "id"})).spec.argument_columns == {
        "order": "id"
    }
