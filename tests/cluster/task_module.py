"""The task of the faults. Worker pods get this very file by ConfigMap (see applications.py); the tests
themselves never import it.
"""

import os
import time

import psycopg2

from rowlock_jobs.task import Run, task

_LOG = "insert into faults_log(source, row_id, attempt, pod, word) values (%s, %s, %s, %s, %s)"


@task("hold")
def hold(run: Run) -> dict[str, str]:
    """Writes that it started, waits for its source's gate, and writes that it finished in the transaction of
    the finish fence.
    """
    pod, source, row_id = os.uname().nodename, run.args["source"], run.args["id"]
    with run.connection() as connection, connection.cursor() as cursor:
        cursor.execute(_LOG, (source, row_id, run.attempt, pod, "started"))
    while not _gate_is_open(run, source):
        run.check()
        time.sleep(0.1)
    with run.transaction() as cursor:
        cursor.execute(_LOG, (source, row_id, run.attempt, pod, "finished"))
    return {"pod": pod}


def _gate_is_open(run: Run, source: str) -> bool:
    try:
        with run.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select from faults_gate where source = %s", (source,))
            return bool(cursor.rowcount)
    except psycopg2.Error:
        return False  # PostgreSQL is being restarted under us: what comes of it is the test's point
