"""Examples work as they stand: manifests are accepted by the operator's own reading and by the API server's
rules, tasks register.
"""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from rowlock_jobs.task import Run
from rowlock_operator.api.crds import MODELS
from rowlock_operator.api.kinds import KINDS
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.pending import check_pending
from rowlock_operator.decide.sources import check_source
from rowlock_operator.errors import GiveUp
from rowlock_operator.reconcile.row_source import plan_of
from tests.unit.docs.pages import page, pages

Manifest = dict[str, Any]
# The contracts draw interfaces, with dots in them; all others must work.
PAGES = [found for found in pages() if found.name != "docs/contracts.md"]
PARSERS: dict[str, Callable[[Manifest], Any]] = {kind.kind: MODELS[kind].parse for kind in KINDS}
BLOCKS = [
    (found.name, text)
    for found in PAGES
    for text in found.blocks("yaml")
    if "apiVersion: rowlock.dev" in text
]
TASKS = [(found.name, text) for found in PAGES for text in found.blocks("python") if "\n@task(" in text]


def manifests(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def queues_of(found: list[Manifest]) -> dict[str, WorkQueue]:
    parsed = (WorkQueue.parse(manifest) for manifest in found if manifest["kind"] == "WorkQueue")
    return {queue.metadata.name: queue for queue in parsed}


def check(found: list[Manifest]) -> None:
    """Raises where one of the manifests is wrong, or the sources and queues do not fit together."""
    queues = queues_of(found)
    for manifest in found:
        if manifest["kind"] == "RowSource":
            source = RowSource.parse(manifest)
            check_pending(source.spec.pending)
            queue = queues.get(source.spec.work_queue_ref.name)
            plan, _ = plan_of(source, check_source(source, queue, default_database_secret="rowlock-database"))
            assert plan.task == source.spec.task


def unknown_fields(given: Any, understood: Any, path: str = "") -> list[str]:
    """Fields of a manifest that our models dropped: a misspelt one would be ignored without a word."""
    if isinstance(given, dict) and isinstance(understood, dict):
        lost = [f"{path}.{name}" for name in given if name not in understood]
        return lost + [
            each
            for name in given.keys() & understood.keys()
            for each in unknown_fields(given[name], understood[name], f"{path}.{name}")
        ]
    if isinstance(given, list) and isinstance(understood, list):
        return [
            each
            for one, other in zip(given, understood, strict=True)
            for each in unknown_fields(one, other, f"{path}[]")
        ]
    return []


def test_there_are_examples_of_both_kinds_in_the_readme() -> None:
    kinds = {manifest["kind"] for name, text in BLOCKS if name == "README.md" for manifest in manifests(text)}
    assert kinds == {"WorkQueue", "RowSource"}


@pytest.mark.parametrize(("name", "text"), BLOCKS)
def test_every_manifest_is_accepted(name: str, text: str) -> None:
    check(manifests(text))


@pytest.mark.parametrize(("name", "text"), BLOCKS)
def test_no_manifest_has_a_field_we_do_not_know(name: str, text: str) -> None:
    for manifest in manifests(text):
        understood = PARSERS[manifest["kind"]](
            {**manifest, "metadata": {**manifest["metadata"], "namespace": "demo"}}
        ).spec.model_dump(by_alias=True)
        assert unknown_fields(manifest["spec"], understood) == [], name


def test_an_example_with_a_wrong_condition_would_be_refused() -> None:
    found = manifests(next(text for name, text in BLOCKS if name == "README.md" and "RowSource" in text))
    source = next(manifest for manifest in found if manifest["kind"] == "RowSource")
    source["spec"]["pending"] = "id in (select 1)"
    with pytest.raises(GiveUp):
        check(found)


def test_a_misspelt_field_would_be_seen() -> None:
    assert unknown_fields({"limits": [{"nam": 1}]}, {"limits": [{"name": 1}]}) == [".limits[].nam"]


@pytest.mark.parametrize(("name", "text"), TASKS)
def test_every_example_of_a_task_registers_under_the_name_that_its_manifests_use(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry: dict[str, Any] = {}
    monkeypatch.setattr("rowlock_jobs.task._registry", registry)
    exec(compile(text, name, "exec"), {"__name__": "example"})
    allowed = {
        task
        for where, block in BLOCKS
        if where == name
        for manifest in manifests(block)
        for task in manifest["spec"].get("tasks", ())
    }
    assert registry
    assert registry.keys() <= allowed


def test_the_example_of_the_readme_refuses_a_row_without_a_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: dict[str, Any] = {}
    monkeypatch.setattr("rowlock_jobs.task._registry", registry)
    exec(page("README.md").blocks("python")[0], {"__name__": "example"})
    run = Run(
        id="",
        attempt=1,
        task="",
        queue="",
        args={"id": 7, "customer": ""},
        source_key="7",
        tries=0,
        log=None,
        _runtime=None,
    )  # type: ignore[arg-type]
    with pytest.raises(Exception, match="invoice 7 has no customer"):
        registry["print_invoice"](run)
