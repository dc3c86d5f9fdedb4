"""The one task of the end-to-end comparison, for every system alike: sixteen bytes into a file. Imports
nothing but the standard library, since each system's own interpreter loads it.
"""

import os
import time

STAMPS = (  # the file, one 8-byte stamp (nanoseconds of the wall clock) and the process id in 8 bytes a run
    "ROWLOCK_BENCH_STAMPS"
)

_descriptor = -1


def note() -> None:
    """Says that a run's task is at work."""
    global _descriptor
    if _descriptor < 0:
        _descriptor = os.open(os.environ[STAMPS], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(_descriptor, time.time_ns().to_bytes(8, "big") + os.getpid().to_bytes(8, "big"))
