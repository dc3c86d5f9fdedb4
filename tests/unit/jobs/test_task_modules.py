"""Task modules that cannot be imported, and functions that are no tasks: said in a sentence, with an exit
code that is none of success.
"""

import asyncio
import functools
import importlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rowlock_jobs.__main__ import main
from rowlock_jobs.task import import_tasks, registered_tasks, task


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "ends_well",
            "import sys; sys.exit(0)",
            r"ended its process while it was imported \(sys.exit\(0\)\)",
        ),
        ("ends_with_words", "raise SystemExit('no config')", r"sys.exit\('no config'\)"),
        ("ends_quietly", "quit()", "__main__"),
        (
            "parses_arguments",
            "import argparse; argparse.ArgumentParser(prog='x').parse_args(['--no-such-option'])",
            r"sys.exit\(2\)",
        ),
        ("ends_at_once", "import os; os._exit(0)", r"os._exit\(0\)"),
        ("ends_at_once_by_name", "from os import _exit; _exit(status=3)", r"os._exit\(3\)"),
        ("closes", "raise GeneratorExit", "GeneratorExit"),
        ("own", "class Stop(BaseException): ...\nraise Stop('of my own')", "Stop: of my own"),
        ("cancels", "import asyncio; raise asyncio.CancelledError", "CancelledError"),
        (
            "yields",
            "from rowlock_jobs.task import task\n@task('y')\ndef y(run):\n    yield 1",
            "'y' is a generator function",
        ),
    ],
)
def test_a_module_that_ends_the_process_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    words: str,
) -> None:
    module = f"module_that_{name}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ROWLOCK_IMPORTS", module)
    assert main(["tasks"]) == 2
    said = capsys.readouterr().err
    assert f"module '{module}' of ROWLOCK_IMPORTS" in said
    assert re.search(words, said), said


def test_a_module_may_fork_and_keep_the_way_to_end_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import os\nfrom os import _exit\nif (pid := os.fork()) == 0:\n    os._exit(7)\nended ="
        " os.waitpid(pid, 0)[1]\n"
    )
    (tmp_path / "module_that_forks.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    own_exit = os._exit
    import_tasks(["module_that_forks"])
    assert os._exit is own_exit
    module = importlib.import_module("module_that_forks")
    assert os.waitstatus_to_exitcode(module.ended) == 7
    if (pid := os.fork()) == 0:
        module._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5


def test_a_generator_function_is_no_task_because_a_call_of_it_runs_nothing() -> None:
    def generator(_run: object) -> Iterator[int]:
        yield 1

    async def async_generator(_run: object) -> AsyncIterator[int]:
        yield 1

    for function in (generator, async_generator, functools.partial(generator)):
        with pytest.raises(TypeError, match="a call of it runs nothing"):
            task("unit.generates")(function)
    assert "unit.generates" not in registered_tasks()


def test_whatever_can_be_called_is_a_task_and_has_a_place() -> None:
    class Callable:
        def __call__(self, _run: object) -> None: ...

    async def coroutine(_run: object) -> None:
        await asyncio.sleep(0)

    def plain(_run: object, _more: int) -> None: ...

    task("unit.object")(Callable())
    task("unit.coroutine")(coroutine)
    task("unit.partial")(functools.partial(plain, _more=1))
    places = registered_tasks()
    assert places["unit.object"].endswith(".Callable")
    assert places["unit.partial"].endswith(".plain")
