"""Tables that repeat the code say the same as the code."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowlock_jobs.settings import load_settings
from rowlock_jobs.work.documents.limits import limits_from
from rowlock_operator import settings as operator_settings
from rowlock_operator.api.reference import files, main
from tests.unit.docs.pages import ROOT, page

SETTINGS = page("docs/settings.md")
LEAST = {"ROWLOCK_DATABASE_URL": "postgresql://host/db", "ROWLOCK_QUEUE": "demo/jobs"}


def documented(heading: str) -> dict[str, str]:
    """Variable -> default as it is written, '' where none is."""
    return {cells[0].strip("`"): cells[1].strip("`") for cells in SETTINGS.table(heading)}


def written(value: Any) -> str:
    return (
        ",".join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def variables_in(*sources: str) -> set[str]:
    """Variables that a module's own text names in quotes."""
    return {
        name for source in sources for name in re.findall(r'"(ROWLOCK_[A-Z_]+)"', (ROOT / source).read_text())
    }


WORKER_NUMBERS = {
    name: int(default) for name, default in documented("## Worker").items() if default.isdecimal()
}


def test_the_committed_reference_is_the_generated_one() -> None:
    assert {path.name: path.read_text() for path in (ROOT / "docs/reference").glob("*.md")} == files()
    assert main(["--check"]) == 0


def test_the_check_sees_a_stale_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    stale = tmp_path / "rowsource.md"
    stale.write_text(stale.read_text().replace("spec.table", "spec.tabel"))
    assert main(["--check", str(tmp_path)]) == 1
    assert "rowsource.md" in capsys.readouterr().err


def test_the_reference_names_every_field_of_the_schema() -> None:
    def paths(schema: dict[str, Any], path: str) -> set[str]:
        found = {f"{path}.{name}" for name in schema.get("properties", {})}
        for name, child in schema.get("properties", {}).items():
            found |= paths(child, f"{path}.{name}")
        return found | paths(schema["items"], f"{path}[]") if isinstance(schema.get("items"), dict) else found

    for file in ("workqueue", "rowsource"):
        crd = yaml.safe_load((ROOT / f"crds/rowlock.dev_{file}s.yaml").read_text())
        properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        shown = set(re.findall(r"^\| `([^`]+)`", files()[f"{file}.md"], re.MULTILINE))
        assert shown == paths(properties["spec"], "spec") | paths(properties["status"], "status")


def test_the_operators_settings_are_the_documented_ones_with_their_defaults() -> None:
    assert documented("## Operator") == {
        name: written(default) for name, default in operator_settings.variables().items()
    }


def test_every_chart_value_named_exists() -> None:
    values = yaml.safe_load((ROOT / "charts/rowlock/values.yaml").read_text())
    for cells in SETTINGS.table("## Operator"):
        for path in re.findall(r"`([^`]+)`", cells[3]):
            found = values
            for part in path.split("."):
                assert part in found, path
                found = found[part]


def test_the_workers_settings_are_the_documented_ones() -> None:
    named = variables_in("jobimages/rowlock_jobs/settings.py")
    with_files = {f"{name}_FILE" for name in ("ROWLOCK_DATABASE_URL", "ROWLOCK_REDIS_URL")}
    assert documented("## Worker").keys() == named | with_files


def test_the_workers_documented_defaults_are_its_defaults() -> None:
    given = {
        name: default
        for name, default in documented("## Worker").items()
        if default and default != "the hard limit"
    }
    assert len(given) >= 6
    assert load_settings(LEAST | given) == load_settings(LEAST)


@pytest.mark.parametrize("variable", WORKER_NUMBERS)
def test_another_number_than_the_default_makes_a_difference(variable: str) -> None:
    """Else the test of the defaults could not fail."""
    assert load_settings(LEAST | {variable: str(WORKER_NUMBERS[variable] + 1)}) != load_settings(LEAST)


def test_the_settings_of_documents_are_the_documented_ones_with_their_defaults() -> None:
    given = documented("## Task `process_document`")
    assert given.keys() == variables_in("jobimages/rowlock_jobs/work/documents/limits.py") | {
        "ROWLOCK_DOCUMENTS_DIR"
    }
    assert limits_from(given) == limits_from({})


def test_the_fields_of_the_work_queue_named_beside_settings_exist() -> None:
    fields = set(re.findall(r"^\| `spec\.([^`]+)`", files()["workqueue.md"], re.MULTILINE)) | {"metadata"}
    assert {
        name for cells in SETTINGS.table("## Worker") for name in re.findall(r"`([^`]+)`", cells[3])
    } <= fields
