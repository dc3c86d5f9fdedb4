"""What a task can change about its process and the next run would meet there: a child whose surroundings
differ is not used again.

Renewed and not repaired: a library that set a variable for itself once would miss it, and a closed standard
stream cannot be given back. What nobody can miss is undone in place (reset.py), and context variables never
leave their run (execute.py).
"""

import faulthandler
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# One customer's key in a variable must not be seen by the next one's run. Reading os.environ itself takes 70
# us, its store 2.
_variables: Mapping[bytes, bytes] = vars(os.environ)["_data"]
_LIMITS = tuple(
    {
        number: None
        for name in ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")
        if (number := getattr(resource, f"RLIMIT_{name}", None)) is not None
    }
)
# signal.getsignal() makes an enum member of each answer: twenty times the time, for sixty signals.
_handler: Callable[[int], Any] = vars(sys.modules["_signal"])["getsignal"]
_sigmask: Callable[[int, Iterable[int]], Any] = vars(sys.modules["_signal"])["pthread_sigmask"]
_SIGNALS = tuple(int(number) for number in signal.valid_signals() if number < signal.SIGRTMIN)
_monitoring: Any = getattr(sys, "monitoring", None)  # Python 3.12
_digits: Any = getattr(sys, "get_int_max_str_digits", int)  # not in the first Python 3.11
# Functions that are replaced to go through a proxy, or to look at no certificate.
_NETWORK = (
    ("socket", "socket"),
    ("socket", "getaddrinfo"),
    ("socket", "create_connection"),
    ("ssl", "_create_default_https_context"),
)


class ProcessState:
    """The process as it is now; `changed()` compares, after every run: about 12 us."""

    def __init__(self) -> None:
        self._before = _look()
        self._variables, self._path, self._arguments = dict(_variables), list(sys.path), list(sys.argv)

    def changed(self) -> list[str]:
        """What differs by now, in words for the task's author."""
        now, lists = _look(), self._changed_lists()
        if now == self._before:
            return lists
        return [
            *(name for name, was, is_now in zip(_NAMES, self._before, now, strict=True) if was != is_now),
            *lists,
        ]

    def _changed_lists(self) -> list[str]:
        """Compared where they are: a copy for each look would cost more than all the rest."""
        pairs = (
            ("environment", _variables, self._variables),
            ("import path", sys.path, self._path),
            ("command line", sys.argv, self._arguments),
        )
        return [name for name, now, before in pairs if now != before]


_NAMES = (
    *(
        "working directory",
        "umask",
        "locale",
        "time zone",
        "blocked signals",
        "signal handlers",
        "resource limits",
    ),
    *("priority", "priority", "user", "user", "process group", "default socket timeout", "network functions"),
    *(
        "recursion limit or another limit of Python",
        "tracing or profiling",
        "logging",
        "event loop",
        "standard streams",
    ),
)


def _look() -> tuple[Any, ...]:
    """In the order of _NAMES. One function and not one for each name: a forked child pays for every page that
    it touches first.
    """
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    os.umask(umask := os.umask(0o077))
    root, modules = logging.root, sys.modules
    return (
        folder,
        umask,
        locale.setlocale(locale.LC_ALL),
        (time.timezone, time.tzname),
        _sigmask(signal.SIG_BLOCK, ()),
        # An ignored SIGCHLD makes every program that a task starts seem to succeed; a default SIGPIPE kills.
        list(map(_handler, _SIGNALS)),
        list(map(resource.getrlimit, _LIMITS)),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0),
        os.getresuid(),
        os.getresgid(),
        os.getpgrp(),
        socket.getdefaulttimeout(),
        [getattr(modules.get(module), name, None) for module, name in _NETWORK],
        (sys.getrecursionlimit(), sys.getswitchinterval(), threading.stack_size(), _digits()),
        (
            sys.gettrace(),
            sys.getprofile(),
            tracemalloc.is_tracing(),
            faulthandler.is_enabled(),
            _monitoring and _tools(),
        ),
        (
            root.level,
            root.handlers[:],
            root.filters[:],
            logging.getLogRecordFactory(),
            logging.getLoggerClass(),
            warnings.showwarning,
        ),
        _event_loop() if "asyncio.events" in modules else _NO_LOOP,
        (sys.stdin, sys.stdout, sys.stderr, _file(1), _file(2)),
    )


def _tools() -> list[Any]:
    return [_monitoring.get_tool(number) for number in range(6)]


def _file(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1


_NO_LOOP = (None, None, None)


def _event_loop() -> tuple[Any, ...]:
    """What asyncio would go on with: a loop that still runs or is still open (with its tasks and sockets), a
    policy of somebody's own.
    """
    events = vars(sys.modules["asyncio.events"])
    policy = events.get("_event_loop_policy")
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    return (
        events["_get_running_loop"](),
        None if loop is None or loop.is_closed() else loop,
        None if type(policy).__module__.startswith("asyncio.") else policy,
    )
