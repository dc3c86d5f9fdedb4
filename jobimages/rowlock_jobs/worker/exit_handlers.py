"""Exit handlers (atexit) of a child: those that its tasks registered run when it is replaced, those of the
parent run in the parent alone.

As in Python's own multiprocessing: a folder that was made at import and is removed at exit belongs to all
children.
"""

import atexit
import logging
import sys
import weakref
from contextlib import suppress
from typing import Any


def forget_inherited() -> None:
    """Child, after the fork."""
    atexit._clear()
    atexit.register(logging.shutdown)
    # Objects that tidy up at exit (TemporaryDirectory) register one handler for all of them, once.
    finalize: Any = weakref.finalize
    for each in list(finalize._registry):
        each.atexit = False
    atexit.register(finalize._exitfunc)
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        atexit.register(vars(multiprocessing)["_exit_function"])


def run() -> None:
    """Child, before it ends. Whoever waits for its end sets the bound (prefork.EXIT_SECONDS)."""
    with suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
