"""Whatever a task's code does to logging, at import or in a run: the worker says what it does."""

import pytest

from tests.integration.mistakes_tasks.conftest import BadStage

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_worker_is_heard_through_any_logging_configuration(stage: BadStage, log_format: str) -> None:
    module = "tests.integration.mistakes_tasks.silencing"
    worker = stage.worker(imports=module, tasks="silences,says", log_format=log_format, ready=False)
    for how in ("dictConfig", "fileConfig-like", "basicConfig", "disable", "shutdown", "handlers removed"):
        stage.works("silences", how=how)
    assert stage.works("says") is True, "the logger of a run is no victim of somebody else's configuration"
    worker.terminate()
    assert worker.wait() == 0
    said = worker.log.read_text()
    assert [
        said.count(event)
        for event in ("worker_started", "run_started", "run_finished", "worker_stopping", "worker_stopped")
    ] == [
        1,
        7,
        7,
        1,
        1,
    ]


def test_a_module_that_ends_the_process_at_import_is_in_the_last_line(stage: BadStage) -> None:
    module = "tests.integration.mistakes_tasks.ends_at_import"
    worker = stage.worker(imports=module, tasks="any", ready=False)
    worker.wait()
    assert worker.events()[-1]["event"] == "tasks_importing"
    assert worker.events()[-1]["modules"] == module
