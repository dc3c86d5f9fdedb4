"""Where the modules of tasks are imported: in the parent, whose memory all of its children share, unless they
open there what would be shared, too: then in each child.

A connection that was opened at import answers whoever reads first, and a thread of the parent runs in no
child. What is open can be seen only afterwards, so such a parent begins anew (exec) without the modules, and
knows their tasks from its first life.
"""

import faulthandler
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rowlock_jobs import logs
from rowlock_jobs.task import import_tasks, registered_tasks

_HANDED_OVER = "ROWLOCK_TASKS_OF_FIRST_IMPORT"
_MASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM)
_PYTHON_THREAD, _THREAD = "a thread", "a thread of a native library"


class _State:
    in_child = False
    modules: Sequence[str] = ()
    known: Mapping[str, str] = {}


def load_in_parent(modules: Sequence[str]) -> None:
    """Imports them here, or begins this process anew, as one that leaves it to its children. Raises
    SettingsError.
    """
    handed_over = os.environ.pop(_HANDED_OVER, None)
    if handed_over is not None:
        _State.in_child, _State.modules, _State.known = True, tuple(modules), json.loads(handed_over)
        return
    opened: dict[str, list[str]] = {}
    before = _Open()
    for module in modules:
        import_tasks([module])
        after = _Open()
        opened[module] = after.since(before)
        before = after
    if any(opened.values()):
        gc.collect()  # a connection that was dropped already, in a cycle, is not kept
        still = _Open()
        opened = {
            module: [what for what in found if what in still.descriptions] for module, found in opened.items()
        }
    _calm_down()
    shared = False
    for module, found in opened.items():
        alone = [what for what in found if what != _THREAD]
        shared = shared or bool(alone)
        if found:
            level = logging.WARNING if alone else logging.INFO
            logs.emit(
                logs.IMPORT_OPENED,
                level,
                module=module,
                opened=", ".join(dict.fromkeys(found)),
                imported_in="child" if alone else "parent",
            )
    if shared:
        _begin_anew()


def load_for_one(modules: Sequence[str]) -> None:
    """Imports them in a parent of one child, which shares with nobody what they open. Raises
    SettingsError.
    """
    import_tasks(modules)
    _calm_down()


def load_in_child() -> None:
    """In a new child, where the parent left it to them. Raises SettingsError."""
    if _State.in_child:
        import_tasks(_State.modules)


def known_tasks() -> dict[str, str]:
    """See registered_tasks()."""
    return {**_State.known, **registered_tasks()}


class _Open:
    """What this process has open now: descriptors, by what they are, and threads."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{number}")
                if what := _describe(int(number), target, mapped):
                    self._found[number, target] = what
        ours = {
            str(thread.native_id): thread
            for thread in threading.enumerate()
            if thread is not threading.main_thread()
        }
        for thread_id in os.listdir("/proc/self/task"):
            if int(thread_id) != os.getpid():
                known = ours.get(thread_id)
                self._found["thread", thread_id] = f"{_PYTHON_THREAD} ({known.name})" if known else _THREAD

    @property
    def descriptions(self) -> set[str]:
        return set(self._found.values())

    def since(self, before: "_Open") -> list[str]:
        return [what for key, what in self._found.items() if key not in before._found]


def _describe(number: int, target: str, mapped: str) -> str | None:
    """None for what children may share: devices, logs that are appended to, files that are mapped."""
    if target.startswith("socket:"):
        return _socket(number)
    if target.startswith(("pipe:", "anon_inode:")):
        return f"a {target.replace('anon_inode:', '').strip('[]').split(':')[0]}"
    if not target.startswith("/") or target.startswith(("/dev/", "/proc/", "/sys/")) or target in mapped:
        return None
    flags = next(
        line
        for line in Path(f"/proc/self/fdinfo/{number}").read_text().splitlines()
        if line.startswith("flags:")
    )
    if (
        int(flags.split()[1], 8) & os.O_APPEND
        or not os.path.isfile(target.removesuffix(" (deleted)"))
        and not target.endswith("(deleted)")
    ):
        return None
    return f"the file {os.path.basename(target)}"


def _socket(number: int) -> str:
    """The port only: a host name is part of somebody's address."""
    with socket.socket(fileno=os.dup(number)) as found:
        for name, words in (
            (found.getpeername, "a connection to port"),
            (found.getsockname, "a socket at port"),
        ):
            with suppress(OSError):
                address: Any = name()
                if isinstance(address, tuple) and address[1]:
                    return f"{words} {address[1]}"
    return "a socket"


def _calm_down() -> None:
    """Import-time signals and timers are for a process that runs tasks, not for one that waits for its
    children.
    """
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    faulthandler.cancel_dump_traceback_later()
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, no child's end could be seen
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _MASKED)


def _begin_anew() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    environment = os.environ | {_HANDED_OVER: json.dumps(registered_tasks())}
    os.execve(sys.executable, [sys.executable, "-m", "rowlock_jobs", "run"], environment)
