"""A module of tasks that opens at import what its processes must not share: as many do. SHOP_OPENS says
what.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2

from rowlock_jobs.task import Run, task

NAMES = "asks"
OPENS = os.environ.get("SHOP_OPENS", "").split(",")
FOLDER = Path(os.environ["ROWLOCK_ALIVE_FILE"]).parent
connection: Any = None
lines: Any = None
beats: list[float] = []

if "connection" in OPENS:
    if (FOLDER / "down").exists():
        raise ConnectionError("the database is down at import")
    connection = psycopg2.connect(os.environ["ROWLOCK_DATABASE_URL"], application_name="at import")
    connection.autocommit = True
if "file" in OPENS:
    lines = open(FOLDER / "lines")  # noqa: SIM115
if "thread" in OPENS:
    threading.Thread(
        target=lambda: [(beats.append(1.0), time.sleep(0.01)) for _ in range(100_000)],
        name="heart",
        daemon=True,
    ).start()
if "nothing shared" in OPENS:
    log = open(FOLDER / "log", "a")  # noqa: SIM115
    null = open(os.devnull)  # noqa: SIM115
    psycopg2.connect(os.environ["ROWLOCK_DATABASE_URL"]).close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.2)


@task("asks")
def asks(run: Run) -> dict[str, Any]:
    """What its process has, and an answer to a question that only this run asks."""
    deadline = time.monotonic() + 5
    while "thread" in OPENS and not beats and time.monotonic() < deadline:
        time.sleep(0.01)
    answer = None
    if connection is not None:
        with connection.cursor() as cursor:
            cursor.execute("select %s, pg_sleep(0.001)", (run.args["question"],))
            answer = cursor.fetchone()[0]
    return {
        "answer": answer,
        "backend": connection and connection.info.backend_pid,
        "line": lines and lines.readline(),
        "beats": bool(beats),
        "parent": os.getppid(),
        "pid": os.getpid(),
    }
