"""Somebody's own program under contract Exit: it knows its row and its attempt from variables, and nothing
else of Rowlock.

Every other row's program traps SIGTERM and ends with exit code 0, its work half done, as many servers and
shells do; the others die of the signal.
"""

import json
import os
import signal
import time
from pathlib import Path

from tests.chaos import tasklog
from tests.chaos.tasks import LOG_VARIABLE


def main(message: Path) -> int:
    """Takes its milliseconds, and fails once where the row says so. `message`: where the last words go.
    Returns the exit code.
    """
    given = os.environ
    run, attempt = given["ROWLOCK_RUN_ID"], int(given["ROWLOCK_ATTEMPT"])

    def note(what: str) -> None:
        tasklog.append(
            given[LOG_VARIABLE],
            run,
            attempt,
            what,
            given["ROW_SOURCE"],
            given["ROW_ID"],
            given["ROW_CUSTOMER"],
        )

    if int(given["ROW_ID"]) % 2:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    note("begin")
    time.sleep(int(given["ROW_MILLIS"]) / 1000)
    if given["ROW_KIND"] == "fails" and attempt == 1:
        note("fail")
        return 1
    message.write_text(json.dumps({"attempt": attempt, "pid": os.getpid()}))
    note("end")
    return 0
