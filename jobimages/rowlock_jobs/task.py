"""What the author of a task uses: `@task(name)`, the `Run` it is called with, and the errors it may raise.

from rowlock_jobs.task import task, Run, Retry, Permanent, InputError, SiteError, NeedsReauth

@task("process_document")
def process_document(run: Run) -> dict | None: ...
"""

import importlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rowlock_jobs.errors import (
    Canceled,
    InputError,
    NeedsReauth,
    Permanent,
    Retry,
    SettingsError,
    SiteError,
    SoftTimeLimit,
    StaleAttempt,
    TaskError,
)

__all__ = [
    "Canceled",
    "InputError",
    "NeedsReauth",
    "Permanent",
    "Retry",
    "Run",
    "SiteError",
    "SoftTimeLimit",
    "StaleAttempt",
    "TaskError",
    "find_task",
    "import_tasks",
    "registered_tasks",
    "task",
]

TaskFunction = Callable[["Run"], Any]
_F = TypeVar("_F", bound=TaskFunction)
_registry: dict[str, TaskFunction] = {}


class RunPort(Protocol):
    """What a run needs from the process around it; the worker's child, `once` and stock RQ each bring one."""

    def cancelled(self) -> bool: ...
    def progress(self, progress_json: str) -> None: ...
    def begin_effect(self, effect: str) -> bool: ...
    def end_effect(self, result_json: str | None) -> bool: ...
    def transaction(self) -> AbstractContextManager[Any]: ...
    def connection(self) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of one run. `tries` = failures of the task's own classes so far (0 at the first try)."""

    id: str
    attempt: int
    task: str
    queue: str
    args: Mapping[str, Any]
    source_key: str | None
    tries: int
    log: "logging.LoggerAdapter[logging.Logger]"
    _port: RunPort = field(repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this run to end. It is killed ten seconds after that."""
        return self._port.cancelled()

    def check(self) -> None:
        """Raises Canceled once the run was asked to end: call it between two steps."""
        if self._port.cancelled():
            raise Canceled("the run was canceled")

    def progress(self, done: float | None = None, total: float | None = None, note: str | None = None, **more: Any) -> None:
        """Shown to users within seconds; calls may come in any number, the newest counts."""
        values = {"done": done, "total": total, "note": note, **more}
        self._port.progress(json.dumps({k: v for k, v in values.items() if v is not None}, allow_nan=False))

    def begin_effect(self, effect: str) -> bool:
        """Call before an outside effect that must never be repeated, and act only on True.

        From now on a lost worker ends the run as `unknown` (a person decides), never as a retry.
        False: this attempt is stale or canceled, do not act. Raises FenceAway where the database does not answer: do not act.
        """
        return self._port.begin_effect(effect)

    def end_effect(self, result: Any = None) -> bool:
        """The effect is known to have happened: retries are allowed again. False: the attempt is stale by now."""
        return self._port.end_effect(None if result is None else json.dumps(result, allow_nan=False))

    def transaction(self) -> AbstractContextManager[Any]:
        """A psycopg2 cursor whose writes COMMIT TOGETHER WITH THE FINISH FENCE, after the function has returned.

        A task that raises, or whose attempt turns out to be stale, leaves none of these writes behind.
        Several blocks of one run share the one transaction.
        """
        return self._port.transaction()

    def connection(self) -> AbstractContextManager[Any]:
        """An ordinary psycopg2 connection of the worker role: commits at the end of the block, rolls back where it raises."""
        return self._port.connection()


def task(name: str) -> Callable[[_F], _F]:
    """Registers a function under the name that rows and work queues use. Raises ValueError where another function has it."""
    if not name or name != name.strip() or "," in name:
        raise ValueError(f"task name {name!r} is empty or holds a comma or outer blanks: choose a plain name")

    def register(function: _F) -> _F:
        known = _registry.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
            raise ValueError(
                f"task {name!r} is registered by {known.__module__}.{known.__qualname__} already; "
                f"{function.__module__}.{function.__qualname__} needs another name"
            )
        _registry[name] = function
        return function

    return register


def find_task(name: str) -> TaskFunction | None:
    return _registry.get(name)


def registered_tasks() -> dict[str, str]:
    """Task name -> where its function lives, sorted."""
    return {name: f"{f.__module__}.{f.__qualname__}" for name, f in sorted(_registry.items())}


def import_tasks(modules: Iterable[str]) -> None:
    """Imports the modules that register tasks. Raises SettingsError naming the first that fails."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise SettingsError(
                f"module {module!r} of ROWLOCK_IMPORTS cannot be imported: {type(error).__name__}: {error}; "
                "install it in the worker image or correct the WorkQueue's imports"
            ) from error
