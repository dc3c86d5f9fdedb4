"""Functions of an application that the worker calls around its runs, in the process that runs the tasks.

from rowlock_jobs.hooks import after_fork, after_run, before_run

@after_fork   # once in each new process, before its first run: open here what a process must not share
def connect() -> None: ...

@before_run   # with the Run, before the task, within its soft limit
def bind(run: Run) -> None: ...

@after_run    # with the Run, after the task and its transaction, however it ended
def release(run: Run) -> None: ...

Register them in a module of ROWLOCK_IMPORTS. They are called in the order of registration, `after_run` in the
reverse.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from rowlock_jobs import logs
from rowlock_jobs.task import Run

RunHook = Callable[[Run], object]
ForkHook = Callable[[], object]
_R = TypeVar("_R", bound=RunHook)
_F = TypeVar("_F", bound=ForkHook)

_before: list[RunHook] = []
_after: list[RunHook] = []
_forked: list[ForkHook] = []


class _State:
    """Of this process. `broken`: why no run may begin here; `spent`: none may after this one."""

    run: Run | None = None
    pid = 0  # that began it: a fork of a task that comes back ends nothing
    broken: BaseException | None = None
    spent = False


def before_run(hook: _R) -> _R:
    """Registers a function. One that raises fails the run as its task would: the task is not called."""
    _register(_before, hook)
    return hook


def after_run(hook: _R) -> _R:
    """Registers a function. One that raises changes nothing for its run, whose work is done: it is logged,
    and the process replaced.
    """
    _register(_after, hook)
    return hook


def after_fork(hook: _F) -> _F:
    """Registers a function. Where it raises, the next run fails with that error, and another process is
    tried.
    """
    _register(_forked, hook)
    return hook


def call_before(run: Run) -> None:
    """Raises what a hook raised."""
    if _State.broken is not None:
        raise _State.broken
    _State.run, _State.pid = run, os.getpid()
    for hook in _before:
        hook(run)


def call_after() -> None:
    """For the run that call_before() was called for, if any. Never raises."""
    run, _State.run = _State.run, None
    if run is not None and os.getpid() == _State.pid:
        for hook in reversed(_after):
            _safely(lambda hook=hook: hook(run), hook)  # type: ignore[misc]


def call_forked() -> None:
    """In a new process. Never raises."""
    _State.run, _State.broken, _State.spent = None, None, False
    for hook in _forked:
        _State.broken = _State.broken or _safely(hook, hook)


def needs_new_process() -> bool:
    """Whether a hook failed or a connection was lost, so that no other run may begin in this process."""
    return _State.spent


def replace_process() -> None:
    """No run may begin in this process any more: a connection that a library keeps is lost, and it would meet
    it again.
    """
    _State.spent = True


def _register(hooks: list[Any], hook: Callable[..., object]) -> None:
    if hook not in hooks:
        hooks.append(hook)


def _safely(call: Callable[[], object], hook: Callable[..., object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - a hook's SystemExit is its failure too
        _State.spent = True
        name = f"{getattr(hook, '__module__', '?')}.{getattr(hook, '__qualname__', '?')}"
        logs.emit(logs.HOOK_FAILED, logging.ERROR, hook=name, error=type(error).__name__)
        logging.getLogger("rowlock.task").error("hook %s failed", name, exc_info=error)
        return error
    return None
