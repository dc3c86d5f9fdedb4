"""The soak's tasks: innocent ones say what they met of others, hostile ones leave behind what they can."""

import contextvars
import ctypes
import logging
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from rowlock_jobs.task import Permanent, Run, task

LOCK = 7_070_707
_KEPT: list[Any] = []  # what is leaked lives as long as its process
_STAIN: contextvars.ContextVar[str] = contextvars.ContextVar("stain", default="")
_CLEAN = (os.getcwd(), sys.getrecursionlimit(), resource.getrlimit(resource.RLIMIT_NOFILE))


@task("innocent")
def innocent(run: Run) -> dict[str, Any]:
    """Its receipt is written with its outcome; `met` names what an earlier run left to it."""
    with run.transaction() as cursor:
        cursor.execute(
            "select current_setting('search_path'), current_setting('statement_timeout'),"
            " current_setting('soak.stain', true), to_regclass('pg_temp.stain'),"
            " (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())"
        )
        search_path, timeout, stain, table, locks = cursor.fetchone()
        cursor.execute("insert into receipt(run, attempt) values (%s, %s)", (run.id, run.attempt))
    found = {
        "search_path": "stained" in search_path,
        "statement_timeout": timeout == "7ms",
        "setting": bool(stain),
        "advisory lock": locks > 0,
        "temporary table": table is not None,
        "context variable": bool(_STAIN.get()),
        "environment": "SOAK_STAIN" in os.environ,
        "timer": signal.getitimer(signal.ITIMER_REAL)[0] > 2.0,  # the soft limit's own is shorter
        "folder": os.getcwd() != _CLEAN[0],
        "recursion limit": sys.getrecursionlimit() != _CLEAN[1],
        "resource limit": resource.getrlimit(resource.RLIMIT_NOFILE) != _CLEAN[2],
        "logging": logging.root.manager.disable > 0,
    }
    return {"square": run.args["n"] ** 2, "met": sorted(name for name, met in found.items() if met)}


@task("hostile")
def hostile(run: Run) -> str:
    """One of them at random."""
    name, leave = random.Random(f"{run.id}{run.attempt}").choice(sorted(HOSTILE.items()))
    leave(run)
    return name


def _leak_memory(_run: Run) -> None:
    _KEPT.append(bytearray(os.urandom(1024) * 512))


def _leak_descriptors(_run: Run) -> None:
    _KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(10))
    _KEPT.extend(socket.socketpair())


def _leak_connection(_run: Run) -> None:
    _KEPT.append(psycopg2.connect(os.environ["ROWLOCK_DATABASE_URL"]))


def _leak_thread(_run: Run) -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def _fork(_run: Run) -> None:
    if os.fork() == 0:
        time.sleep(random.choice((0, 5)))
        os._exit(0)


def _fork_that_comes_back(_run: Run) -> None:
    os.fork()


def _sql_session(run: Run) -> None:
    with run.transaction() as cursor:
        cursor.execute("select pg_advisory_lock_shared(%s)", (LOCK,))
        cursor.execute("create temp table if not exists stain(n int)")
        cursor.execute(
            "set soak.stain = 'yes'; set search_path = stained, public; set statement_timeout = '7ms'"
        )


def _open_transaction(run: Run) -> None:
    entered = run.transaction()
    _KEPT.append(entered)
    cursor = entered.__enter__()
    cursor.execute("insert into receipt(run, attempt) values (%s, -1)", (run.id,))


def _timer(_run: Run) -> None:
    signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
    signal.setitimer(signal.ITIMER_REAL, 5.0)


def _stain(_run: Run) -> None:
    _STAIN.set("yes")
    os.environ["SOAK_STAIN"] = "yes"
    os.chdir(tempfile.gettempdir())
    os.nice(1)
    sys.setrecursionlimit(500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, _CLEAN[2][1]))
    logging.disable(logging.CRITICAL)


def _die(_run: Run) -> None:
    ways: tuple[Callable[[], object], ...] = (
        lambda: os._exit(3),
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        lambda: ctypes.string_at(0),
        sys.exit,
    )
    random.choice(ways)()


def _overstay(run: Run) -> None:
    time.sleep(3.0)  # longer than the soft limit
    raise Permanent(f"{run.id} was not ended by its soft limit")


def _eat_soft_limit(_run: Run) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            time.sleep(1)
        except BaseException:
            continue


HOSTILE: dict[str, Callable[[Run], None]] = {
    "memory": _leak_memory,
    "descriptors": _leak_descriptors,
    "connection": _leak_connection,
    "thread": _leak_thread,
    "fork": _fork,
    "fork that comes back": _fork_that_comes_back,
    "sql session": _sql_session,
    "open transaction": _open_transaction,
    "timer": _timer,
    "stain": _stain,
    "death": _die,
    "overstays": _overstay,
    "eats its soft limit": _eat_soft_limit,
}
