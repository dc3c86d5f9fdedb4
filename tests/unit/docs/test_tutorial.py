"""The tutorial's parts fit together; tests/cluster/test_tutorial.py does what it says. Its manifests and its
task are tested with all others.
"""

import subprocess
from typing import Any

import pytest
import yaml

from rowlock_jobs.task import InputError
from tests.unit.docs.pages import Page, page
from tests.unit.docs.tutorial import FOLDER, Step, steps

TUTORIAL = page("docs/tutorial.md")
STEPS = steps(TUTORIAL)
FILES = {step.name: step.text for step in STEPS if step.name}
COMMANDS = [step.text for step in STEPS if not step.name]


def manifests(name: str) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document["spec"] for document in yaml.safe_load_all(FILES[name])}


def test_every_file_and_every_command_is_found() -> None:
    assert list(FILES) == ["station.py", "Dockerfile", "weather.yaml", "archive.yaml"]
    assert TUTORIAL.blocks("sh") == COMMANDS


def test_a_block_without_its_files_name_is_no_file() -> None:
    assert steps(
        Page("x.md", "So:\n\n```yaml\na: 1\n```\n\n`~/weather/b.yaml`: this.\n\n```yaml\nb: 1\n```\n")
    ) == [Step("b.yaml", "b: 1\n")]


def test_every_file_that_a_command_names_was_saved_before() -> None:
    saved: set[str] = set()
    for step in STEPS:
        saved |= {step.name}
        named = (
            {word.removeprefix(f"{FOLDER}/") for word in step.text.split() if word.startswith(f"{FOLDER}/")}
            if not step.name
            else set()
        )
        assert named <= saved


def test_the_image_holds_the_module_that_the_queue_imports() -> None:
    (module,) = manifests("weather.yaml")["WorkQueue"]["imports"]
    assert f"COPY {module}.py /tasks/" in FILES["Dockerfile"]
    assert f"{module}.py" in FILES
    assert f"build -t {manifests('weather.yaml')['WorkQueue']['template']['image']} " in "".join(COMMANDS)


def test_the_second_step_begins_where_the_first_one_ends() -> None:
    first, second = manifests("weather.yaml")["RowSource"], manifests("archive.yaml")["RowSource"]
    assert f"status = '{first['statusColumn']['succeeded']}'" in second["pending"]


@pytest.mark.parametrize("commands", COMMANDS)
def test_the_commands_are_shell(commands: str) -> None:
    subprocess.run(["bash", "-n"], input=commands, text=True, check=True)


def test_the_report_that_fails_names_what_is_wrong_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: dict[str, Any] = {}
    monkeypatch.setattr("rowlock_jobs.task._registry", registry)
    exec(FILES["station.py"], {"__name__": "station"})

    class Report:
        args = {"id": 3, "station": "Freiburg", "body": "17.0 18.4 sunny"}  # noqa: RUF012

    with pytest.raises(InputError, match="report 3 of Freiburg: .*'sunny'; correct body and requeue"):
        registry["summarize_report"](Report())
