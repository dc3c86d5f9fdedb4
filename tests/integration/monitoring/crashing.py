"""Imported by a worker besides its tasks: kills the process at each step of a task, once each, or leaves
begin_effect out.

`ROWLOCK_TEST_CRASH_TASKS`: tasks that die, comma-separated; `ROWLOCK_TEST_CRASH_STEPS`: words of the steps
that count (empty: all of them); `ROWLOCK_TEST_CRASH_JOURNAL`: a file with the steps that somebody died at
already; `ROWLOCK_TEST_CRASH_WHOM`: child, or worker (its parent, too); `ROWLOCK_TEST_NO_EFFECT`: begin_effect
says yes and records nothing. `ROWLOCK_TEST_NO_GATE`: requests wait for nobody. `ROWLOCK_TEST_LATE`: a POST
has reached the site, and its answer comes a minute later. `ROWLOCK_TEST_BLIND`: the site shows a comment
later than anybody looks. A step is a moment before or after a statement, a request to the site or the model,
an effect or the commit of the finish.
"""

import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.task import find_task
from rowlock_jobs.work.monitoring import store
from rowlock_jobs.worker import execute
from rowlock_llm.client import LlmClient
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.pace.gate import SiteGate
from rowlock_web.sites.mymoment.driver import MyMoment

_now = {"task": ""}


def _arrive(step: str) -> None:
    words = os.environ.get("ROWLOCK_TEST_CRASH_STEPS", "").split(",")
    if _now["task"] not in os.environ["ROWLOCK_TEST_CRASH_TASKS"].split(",") or not any(
        word in step for word in words
    ):
        return
    line = f"{_now['task']}: {step}"
    with open(os.environ["ROWLOCK_TEST_CRASH_JOURNAL"], "a+", encoding="utf-8") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)  # two who come to a step at once: one of them dies
        journal.seek(0)
        if line in journal.read().splitlines():
            return
        journal.write(f"{line}\n")
    if os.environ.get("ROWLOCK_TEST_CRASH_WHOM") == "worker":
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(owner: Any, name: str, step_of: Callable[..., str]) -> None:
    inner = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        step = step_of(*arguments, **named)
        _arrive(f"before {step}")
        result = inner(*arguments, **named)
        _arrive(f"after {step}")
        return result

    setattr(owner, name, wrapped)


def _everywhere(name: str) -> None:
    """A function of the store under every name that imported it."""
    old = getattr(store, name)
    _deadly(store, name, lambda _run, statement, **parameters: str(statement))
    for module in list(sys.modules.values()):
        if module.__name__.startswith("rowlock_jobs.work.monitoring") and getattr(module, name, None) is old:
            setattr(module, name, getattr(store, name))


def _path(path: str) -> str:
    return re.sub(r"\d+", "N", path)


def _note_task(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(started: Any, *more: Any) -> Any:
        _now["task"] = started.task if find_task(started.task) else ""
        return function(started, *more)

    return wrapped


if "ROWLOCK_TEST_CRASH_TASKS" in os.environ:
    _everywhere("ask")
    _everywhere("execute")
    _deadly(Fetcher, "get", lambda _self, path="", params=None: f"GET {_path(path)}")
    _deadly(Fetcher, "post", lambda _self, path, fields, *, referer: f"POST {_path(path)}")
    _deadly(LlmClient, "ask", lambda _self, messages: "asking the model")
    _deadly(Ledger, "begin_effect", lambda _self, *_, **__: "begin_effect")
    _deadly(Ledger, "end_effect", lambda _self, *_, **__: "end_effect")
    _deadly(TaskSession, "finish", lambda _self, *_: "finish")
    execute._call = _note_task(execute._call)
if "ROWLOCK_TEST_NO_EFFECT" in os.environ:
    Ledger.begin_effect = lambda self, *_, **__: True  # type: ignore[method-assign]
if "ROWLOCK_TEST_LATE" in os.environ:
    _post = Fetcher.post
    Fetcher.post = lambda self, path, fields, *, referer: (
        _post(self, path, fields, referer=referer),
        time.sleep(60),
    )[0]  # type: ignore[method-assign]
if "ROWLOCK_TEST_NO_GATE" in os.environ:
    SiteGate.acquire = lambda self: None  # type: ignore[method-assign]
if "ROWLOCK_TEST_BLIND" in os.environ:
    MyMoment.find_comment = lambda self, *_: None  # type: ignore[method-assign]
