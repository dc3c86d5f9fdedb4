"""Tasks that do what a task should not. What each leaves behind is the point of a test."""

import asyncio
import atexit
import collections
import contextlib
import contextvars
import ctypes
import datetime
import decimal
import enum
import gc
import itertools
import locale
import logging
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import psycopg2

from rowlock_jobs.task import InputError, Retry, Run, StaleAttempt, task

NAMES = (
    "describe",
    "draws",
    "at_exit",
    "returns",
    "raises_badly",
    "prints",
    "spoils",
    "leaves",
    "ends",
    "eats",
    "stays",
    "outlives",
    "whispers",
    "echo_args",
)
MEGABYTE = 1_000_000
CUSTOMER: contextvars.ContextVar[str] = contextvars.ContextVar("customer", default="nobody")
decimal.getcontext().prec = 30  # an application's own, set at import


@task("describe")
def describe(_run: Run) -> dict[str, Any]:
    """What the next run meets."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "folder": os.getcwd(),
        "variable": os.environ.get("CUSTOMER_KEY"),
        "locale": locale.setlocale(locale.LC_ALL),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "umask": os.umask(os.umask(0o022)) and None,
        "socket_timeout": socket.getdefaulttimeout(),
        "exit_code": subprocess.run(["false"], check=False).returncode,
        "memory_limit": resource.getrlimit(resource.RLIMIT_AS)[0],
        "stdout": sys.stdout.write("said\n"),
        "threads": threading.active_count(),
        "sockets": len(sockets()),
        "files_limit": resource.getrlimit(resource.RLIMIT_NOFILE),
        "timers": [signal.getitimer(timer)[0] for timer in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)],
        "handlers": [
            str(signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP)
        ],
        "context": CUSTOMER.get(),
        "precision": decimal.getcontext().prec,
        "recursion": sys.getrecursionlimit(),
        "nice": os.nice(0),
        "logs": logging.getLogger("shop").isEnabledFor(logging.INFO),
        "loop": _loop(),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "filters": len(warnings.filters),
        "path": list(sys.path),
        "arguments": list(sys.argv),
        "profile": str(sys.getprofile()),
        "getaddrinfo": socket.getaddrinfo.__module__,
        "group_of_its_own": os.getpgrp() == os.getpid(),
    }


def _loop() -> tuple[bool, int]:
    """Whether asyncio's current loop is a fresh one, and how many tasks it has."""
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        return False, 0
    tasks = len(asyncio.all_tasks(loop))
    loop.close()
    return True, tasks


@task("echo_args")
def echo_args(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.args.items() if name != "journal"}


class _Color(enum.Enum):
    RED = "red"


class _Lazy(dict[str, Any]):
    def items(self) -> Any:
        raise ConnectionError("the cursor is closed")


@task("returns")
def returns(run: Run) -> Any:
    if run.args.get("writes"):
        with run.transaction() as cursor:
            cursor.execute("insert into written(run, attempt) values (%s, %s)", (run.id, run.attempt))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    match run.args["what"]:
        case "100 MB of text":
            return "x" * (100 * MEGABYTE)
        case "100 MB of numbers":
            return list(range(15 * MEGABYTE))
        case "a date":
            return {"at": time}
        case "all kinds":
            return {
                "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
                "on": datetime.date(2026, 1, 2),
                "nan": float("nan"),
                "raw": b"\x00\xff",
                "id": uuid.UUID("01a206a9-693f-7ce0-93cb-cfb87fa51e52"),
                "set": {2, 1},
                "price": decimal.Decimal("1.10"),
                "color": _Color.RED,
            }
        case "a generator":
            return (number for number in range(3))
        case "a lazy map":
            return map(str, range(3))
        case "a lazy object":
            return _Lazy(a=1)
        case "deep":
            return deep
        case "half a character":
            return "\ud800"
        case "a huge number":
            return 10**200_000
    raise AssertionError(run.args["what"])


class _Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class _Ruder(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class _OfMyOwn(BaseException):
    pass


@task("raises_badly")
def raises(run: Run) -> NoReturn:
    errors: dict[str, BaseException] = {
        "BaseException": BaseException("at the very top"),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "GeneratorExit": GeneratorExit(),
        "own BaseException": _OfMyOwn("own"),
        "SystemExit": SystemExit("a message"),
        "__str__ raises": _Rude(),
        "__str__ exits": _Ruder(),
        "10 MB message": ValueError("m" * (10 * MEGABYTE)),
        "no number of seconds": Retry("again", after_seconds=float("nan")),
        "endless seconds": Retry("again", after_seconds=float("inf")),
        "seconds as text": Retry("again", after_seconds="soon"),  # type: ignore[arg-type]
        "reason is no text": InputError(404, "not found"),  # type: ignore[arg-type]
        "message is no text": InputError("NoText", {"a": 1}),  # type: ignore[arg-type]
        "group": ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
        "StopIteration": StopIteration("ended"),
    }
    raise errors[run.args["what"]]


@task("prints")
def prints(run: Run) -> str:
    """100 MB, by one of the ways."""
    for _ in range(100):
        if run.args["how"] == "print":
            print("p" * (MEGABYTE - 1))
        elif run.args["how"] == "stderr":
            sys.stderr.write("e" * (MEGABYTE - 1) + "\n")
        else:
            run.log.info("l" * MEGABYTE)
    return "printed"


@task("spoils")
def spoils(run: Run) -> str:
    """Leaves something changed in its process."""
    match run.args["what"]:
        case "folder":
            os.chdir("/")
        case "folder that is gone":
            os.mkdir(run.args["path"])
            os.chdir(run.args["path"])
            os.rmdir(run.args["path"])
        case "variable":
            os.environ["CUSTOMER_KEY"] = "of the customer before"
        case "locale":
            locale.setlocale(locale.LC_ALL, "C.UTF-8")
        case "umask":
            os.umask(0)
        case "signals":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        case "SIGCHLD":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        case "socket timeout":
            socket.setdefaulttimeout(0.001)
        case "memory limit":
            resource.setrlimit(resource.RLIMIT_AS, (10**12, resource.getrlimit(resource.RLIMIT_AS)[1]))
        case "file size limit":
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        case "recursion":
            sys.setrecursionlimit(222)
        case "nice":
            os.nice(5)
        case "logging.disable":
            logging.disable(logging.CRITICAL)
        case "root handlers":
            logging.basicConfig(force=True, handlers=[logging.NullHandler()])
        case "handler of a signal":
            signal.signal(signal.SIGUSR1, lambda *_: None)
        case "open loop":
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            loop.create_task(asyncio.sleep(600))
        case "running loop":
            asyncio._set_running_loop(asyncio.new_event_loop())
        case "import path":
            sys.path.insert(0, "/customer/of/before")
        case "arguments":
            sys.argv[:] = ["tool", "--customer=before"]
        case "profile":
            sys.setprofile(lambda *_: None)
        case "proxy":
            socket.getaddrinfo = lambda *_, **__: []
        case "process group":
            os.setpgid(0, os.getpgid(os.getppid()))
        case "context variable":
            CUSTOMER.set("of the run before")
        case "decimal":
            decimal.getcontext().prec = 3
        case "timers":
            for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
                signal.setitimer(timer, 0.3)
        case "asyncio.run":
            asyncio.run(asyncio.sleep(0))
        case "garbage":
            gc.disable()
            gc.set_threshold(5)
        case "warnings":
            warnings.simplefilter("error")
        case "sys.stdout":
            sys.stdout = sys.stderr = None
        case "sys.stdout closed":
            sys.stdout.close()
        case "descriptor 1 closed":
            os.close(1)
        case "descriptor 1 replaced":
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        case "half a line":
            os.write(1, b'{"event": "no end')
        case "binary noise":
            os.write(1, bytes(range(256)) * 40)
    return "spoiled"


@task("draws")
def draws(run: Run) -> float:
    """A random number, and a seed for whoever comes next."""
    drawn = random.random()
    random.seed(run.args["seed"])
    return drawn


@task("at_exit")
def at_exit(run: Run) -> int:
    """Tidies up at the end of its process: notes, hangs or fails there."""
    note = Path(run.args["note"])
    atexit.register(lambda: note.write_text(str(os.getpid())))
    match run.args.get("first"):
        case "hangs":
            atexit.register(time.sleep, 600)
        case "raises":
            atexit.register(_fail)
        case "exits":
            atexit.register(sys.exit, 3)
    os.environ["CUSTOMER_KEY"] = "changed, so that this process is replaced"
    return os.getpid()


def _fail() -> None:
    raise ValueError("at exit")


@task("ends")
def ends(run: Run) -> None:
    """Its process, or its way to the worker."""
    match run.args["how"]:
        case "os._exit(0)":
            os._exit(0)
        case "os.abort":
            os.abort()
        case "sys.exit in a thread":
            thread = threading.Thread(target=sys.exit, args=(3,))
            thread.start()
            thread.join()
        case "every descriptor closed":
            os.closerange(0, 4096)
            time.sleep(600)
        case "noise in the channel":
            os.write(_channel(), b"\xff" * 64)
            time.sleep(600)
        case "one byte in the channel":
            os.write(_channel(), b"\0")
        case "half a message in the channel":
            os.write(_channel(), b"rwlk\0\0\0\x40[")
        case "a number in the channel":
            os.write(_channel(), b"rwlk\0\0\0\x011")
        case "an answer in the channel":
            body = run.args["answer"].encode()
            os.write(_channel(), b"rwlk" + len(body).to_bytes(4, "big") + body)
        case "channel closed":
            os.close(_channel())
        case "channel shut down":
            socket.socket(fileno=os.dup(_channel())).shutdown(socket.SHUT_RDWR)
        case "channel replaced":
            os.dup2(os.open(os.devnull, os.O_RDWR), _channel())
        case "execv":
            os.execv("/bin/sh", ["sh", "-c", "exit 0"])
        case "null pointer":
            ctypes.string_at(0)


def sockets() -> list[int]:
    """The sockets that this process holds."""
    return [number for number in range(3, 256) if _target(number).startswith("socket:")]


def _channel() -> int:
    (descriptor,) = sockets()
    return descriptor


def _target(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


@task("whispers")
def whispers(run: Run) -> None:
    """Says something into the channel once its run is over."""

    def whisper() -> None:
        while not os.path.exists(run.args["release"]):
            time.sleep(0.01)
        os.write(_channel(), b"\0")
        Path(run.args["note"]).touch()

    threading.Thread(target=whisper, daemon=True).start()


@task("leaves")
def leaves(run: Run) -> int:
    """A process of its own that goes on; returns its id."""
    match run.args["what"]:
        case "fork":
            return _forked(lambda: time.sleep(600))
        case "daemon":
            return _forked(lambda: time.sleep(600), leave_group=True)
        case "program":
            return subprocess.Popen(["sleep", "600"]).pid
        case "zombie":
            return _forked(lambda: None)
        case "fork that exits properly":
            pid = os.fork()
            if pid == 0:
                sys.exit(0)  # runs through the worker's own code on its way out
            os.waitpid(pid, 0)
            return pid
    raise AssertionError(run.args["what"])


def _forked(go_on: Callable[[], None], *, leave_group: bool = False) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            if leave_group:
                os.setsid()
            go_on()
        finally:
            os._exit(0)
    return pid


@task("eats")
def eats(run: Run) -> None:
    """Memory up to a limit of its own, in large pieces or in small ones."""
    soft = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(run.args["bytes"]), soft[1]))
    eaten: list[Any] = []
    while True:
        eaten.append(bytearray(MEGABYTE) if run.args["pieces"] == "large" else [len(eaten)])


@task("stays")
def stays(run: Run) -> None:
    """Does not stop for a polite word."""
    match run.args["how"]:
        case "ignores SIGTERM":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "blocks signals":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        case "swallows everything":
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(600)
        case "is deep in C":
            collections.deque(itertools.repeat(None), maxlen=0)
    while True:
        with contextlib.suppress(Exception):
            time.sleep(600)


@task("outlives")
def outlives(run: Run) -> str:
    """A thread goes on when the task has returned, and tries to use the run."""
    kept = Path(run.args["note"])

    def go_on() -> None:
        while not Path(run.args["release"]).exists():
            time.sleep(0.01)
        said = []
        for use in (
            run.transaction,
            run.connection,
            lambda: run.begin_effect("late"),
            lambda: run.progress(done=1),
        ):
            try:
                use()
            except StaleAttempt as error:
                said.append(type(error).__name__)
            except psycopg2.Error as error:
                said.append(str(error))
        kept.write_text(",".join(said))
        threading.Event().wait()

    threading.Thread(target=go_on).start()
    return "returned"
