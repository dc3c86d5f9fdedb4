"""What a module of tasks opens at import is shared by no two processes, and its author is told."""

from typing import Any

import pytest

from rowlock_jobs.worker import imports
from tests.integration.jobs.stage import Stage, WorkerProcess

pytestmark = pytest.mark.integration


def opening(stage: Stage, monkeypatch: pytest.MonkeyPatch, what: str, **changes: str) -> WorkerProcess:
    environment = stage.environment
    monkeypatch.setattr(stage, "environment", lambda **changes: environment(**changes) | {"SHOP_OPENS": what})
    return stage.worker(imports="tests.integration.jobs.opening_tasks", tasks="asks", **changes)


def ask(stage: Stage, question: int = 0) -> dict[str, Any]:
    found = stage.wait_state(stage.run("asks", question=question)[0], "succeeded")["result"]
    assert isinstance(found, dict)
    return found


def test_each_run_gets_its_own_answer_over_a_connection_that_was_opened_at_import(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = opening(stage, monkeypatch, "connection", processes="2")
    worker.wait_event("worker_started", 2)
    ids = [stage.run("asks", question=number)[0] for number in range(40)]
    found = [stage.wait_state(run_id, "succeeded")["result"] for run_id in ids]
    assert [each["answer"] for each in found] == list(range(40))
    backends = {each["pid"]: each["backend"] for each in found}
    assert len(set(backends.values())) == len(backends)
    told = worker.events("import_opened")
    assert [(each["module"], each["imported_in"]) for each in told] == [
        ("tests.integration.jobs.opening_tasks", "child")
    ]
    assert told[0]["opened"] == f"a connection to port {stage.database.rsplit(':', 1)[1].split('/')[0]}"
    worker.terminate()
    assert worker.wait() == 0, "the process began anew, under its own number"


def test_without_the_look_two_processes_share_the_connection(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin: the workers of these tests are forks, so that the guard can be taken out of them."""
    monkeypatch.setattr(imports, "_begin_anew", lambda: None)
    opening(stage, monkeypatch, "connection", tasks_per_child="1")
    first, second = ask(stage), ask(stage)
    assert first["pid"] != second["pid"]
    assert first["backend"] == second["backend"]


def test_files_and_threads_are_each_processs_own(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage.folder / "lines").write_text("first\nsecond\n")
    worker = opening(stage, monkeypatch, "file,thread", tasks_per_child="1")
    found = [ask(stage), ask(stage)]
    assert [(each["line"], each["beats"]) for each in found] == [("first\n", True)] * 2
    assert worker.wait_event("import_opened")["opened"] == "the file lines, a thread (heart)"


def test_what_may_be_shared_is_imported_once_for_all(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is appended to, a device, a connection that is closed again; and the parent outlives its
    modules' alarms and signals.
    """
    worker = opening(stage, monkeypatch, "nothing shared", tasks_per_child="1")
    assert [ask(stage)["parent"], ask(stage)["parent"]] == [worker.pid] * 2
    assert worker.events("import_opened") == []
    worker.terminate()
    assert worker.wait() == 0


def test_a_process_that_cannot_import_this_time_costs_its_run_no_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = opening(stage, monkeypatch, "connection")
    (stage.folder / "down").touch()
    (run_id,) = stage.run("asks", question=1)
    assert "the database is down at import" in worker.wait_event("child_import_failed", 2)["error"]
    (stage.folder / "down").unlink()
    ended = stage.wait_state(run_id, "succeeded")
    assert (ended["attempt"], ended["infra_tries"], ended["app_tries"]) == (1, 0, 0)
    assert len(worker.events("run_started")) < 10, "it pauses between two tries"
