"""What the author of a task uses: `@task(name)`, the `Run` it is called with, and the errors it may raise.

from rowlock_jobs.task import task, Run, Retry, Permanent, InputError, SiteError, NeedsReauth

@task("process_document")
def process_document(run: Run) -> dict | None: ...

An exception that a task does not catch is tried again, three times by default (`spec.retry.app.limit` of the
WorkQueue); Permanent is not.
"""

import importlib
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, Protocol, TypeVar

from rowlock_jobs.as_json import NotJson, as_json
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
from rowlock_jobs.outcome import succeeded

__all__ = [
    "Canceled",
    "InputError",
    "NeedsReauth",
    "NotJson",
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


class Carrier(Protocol):
    """A transaction that carries the finish of its run (rowlock_jobs.orm): see
    rowlock_jobs.fence.session.TaskSession.
    """

    def block(self) -> AbstractContextManager[Any]: ...
    def transaction(self) -> AbstractContextManager[Any]: ...
    def enqueue(self, parameters: Mapping[str, Any]) -> str | None: ...
    def finish(self, finished: Any, token: Any) -> str | None: ...
    def rollback(self) -> None: ...


class Runtime(Protocol):
    """What a run needs from the process around it; the worker's child, `once` and stock RQ each bring one."""

    def cancelled(self) -> bool: ...
    def progress(self, progress_json: str) -> None: ...
    def begin_effect(self, effect: str) -> bool: ...
    def end_effect(self, result_json: str | None) -> bool: ...
    def enqueue(self, parameters: Mapping[str, Any]) -> str | None: ...
    def transaction(self) -> AbstractContextManager[Any]: ...
    def connection(self) -> AbstractContextManager[Any]: ...
    def carry(self, key: object, make: Callable[[], Carrier]) -> Carrier: ...


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
    _runtime: Runtime = field(repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this run to end. It is killed ten seconds after that."""
        return self._runtime.cancelled()

    def check(self) -> None:
        """Raises Canceled once the run was asked to end: call it between two steps."""
        if self._runtime.cancelled():
            raise Canceled("the run was canceled")

    def progress(
        self, done: float | None = None, total: float | None = None, note: str | None = None, **more: Any
    ) -> None:
        """Shown to users within seconds; calls may come in any number, the newest counts."""
        values = {"done": done, "total": total, "note": note, **more}
        self._runtime.progress(as_json({k: v for k, v in values.items() if v is not None}))

    def begin_effect(self, effect: str) -> bool:
        """Call before an outside effect that must never be repeated, and act only on True.

        From now on a lost worker ends the run as `unknown` (a person decides), never as a retry. False: this
        attempt is stale or canceled, do not act. Raises FenceAway where the database does not answer: do not
        act.
        """
        return self._runtime.begin_effect(effect)

    def end_effect(self, result: Any = None) -> bool:
        """The effect is known to have happened: retries are allowed again. False: the attempt is stale by
        now.
        """
        return self._runtime.end_effect(
            succeeded(result).result
        )  # it has happened, whatever can be told of it

    def enqueue(
        self,
        task: str,
        args: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        key: str | None = None,
        priority: int = 0,
        fairness_key: str = "",
        limits: Sequence[str] = (),
        due: datetime | None = None,
    ) -> str | None:
        """The next run, in this run's transaction: it exists exactly if this run succeeds. Its id; None where
        an active run has the key.

        `queue`: namespace/name, by default this run's own. `due`: not before. Raises NotJson (a ValueError)
        where the arguments have no JSON, psycopg2.Error where the ledger refuses (a queue that it does not
        know, a task that is not the queue's): this run fails then.
        """
        parameters = {
            "queue": queue or self.queue,
            "task": task,
            "args": as_json(dict(args or {})),
            "key": key,
            "priority": priority,
        }
        return self._runtime.enqueue(
            {**parameters, "fairness_key": fairness_key, "limits": list(limits), "due": due}
        )

    def transaction(self) -> AbstractContextManager[Any]:
        """A psycopg2 cursor whose writes COMMIT TOGETHER WITH THE FINISH FENCE, after the function has
        returned.

        A task that raises, or whose attempt turns out to be stale, leaves none of these writes behind.
        Several blocks of one run share the one transaction.
        """
        return self._runtime.transaction()

    def connection(self) -> AbstractContextManager[Any]:
        """An ordinary psycopg2 connection of the worker role: commits at the end of the block, rolls back
        where it raises.
        """
        return self._runtime.connection()


def task(name: str) -> Callable[[_F], _F]:
    """Registers a function, or a coroutine function, under the name that rows and work queues use.

    Raises ValueError where another function has it, TypeError for a generator function: a call of it would
    run nothing.
    """
    if not name or name != name.strip() or "," in name:
        raise ValueError(f"task name {name!r} is empty or holds a comma or outer blanks: choose a plain name")

    def register(function: _F) -> _F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"task {name!r} is a generator function (it has a yield): a call of it runs nothing. Return a"
                " list instead"
            )
        known = _registry.get(name)
        if known is not None and _place(known) != _place(function):
            raise ValueError(
                f"task {name!r} is registered by {_place(known)} already; {_place(function)} needs another"
                " name"
            )
        _registry[name] = function
        return function

    return register


def find_task(name: str) -> TaskFunction | None:
    return _registry.get(name)


def registered_tasks() -> dict[str, str]:
    """Task name -> where its function lives, sorted."""
    return {name: _place(function) for name, function in sorted(_registry.items())}


def _place(function: TaskFunction) -> str:
    """Where it lives; a partial or an object that can be called has no name of its own."""
    named: Any = function if hasattr(function, "__qualname__") else getattr(function, "func", type(function))
    return f"{named.__module__}.{named.__qualname__}"


def import_tasks(modules: Iterable[str]) -> None:
    """Imports the modules that register tasks, in a Django that is set up where there is one. Raises
    SettingsError naming the first that fails.
    """
    from rowlock_jobs import django_support  # its hooks know Run

    django_support.set_up()
    for module in modules:
        try:
            with _exit_is_heard():
                importlib.import_module(module)
        except KeyboardInterrupt:
            raise
        except SystemExit as error:
            how = "os._exit" if isinstance(error, _HeardExit) else "sys.exit"
            raise SettingsError(
                f"module {module!r} of ROWLOCK_IMPORTS ended its process while it was imported"
                f" ({how}({error.code!r})): put what it runs as a program behind `if __name__ == '__main__':`"
            ) from error
        except BaseException as error:  # noqa: BLE001 - whatever it is, a worker without its tasks must say so
            raise SettingsError(
                f"module {module!r} of ROWLOCK_IMPORTS cannot be imported: {type(error).__name__}: {error}; "
                "install it in the worker image or correct the WorkQueue's imports"
            ) from error
    django_support.keep_connections()


class _HeardExit(SystemExit):
    """os._exit() of a module that is being imported, which would end the worker without a word."""


@contextmanager
def _exit_is_heard() -> Iterator[None]:
    """A module may keep the function that it meets here: afterwards, and in forks, it does what it always
    does.
    """
    own_exit, importing = os._exit, os.getpid()

    def heard(status: int) -> NoReturn:
        if importing == os.getpid():
            raise _HeardExit(status)
        own_exit(status)

    os._exit = heard
    try:
        yield
    finally:
        os._exit = own_exit
        importing = 0
