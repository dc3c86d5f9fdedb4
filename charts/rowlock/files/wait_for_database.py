"""Waits until the database answers and the role rowlock_worker exists, so that the migration can grant
to it.
"""

import os
import pathlib
import sys
import time

import psycopg2

from rowlock_jobs.errors import SettingsError
from rowlock_jobs.fence.connection import connect
from rowlock_ledger.addresses import AddressMalformed

WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "150"))
URL = pathlib.Path(os.environ["ROWLOCK_DATABASE_URL_FILE"]).read_text(errors="replace")

deadline = time.monotonic() + WAIT_SECONDS
while True:
    try:
        connection = connect(URL, "rowlock-migrate")
        with connection.cursor() as cursor:
            cursor.execute("select exists (select from pg_roles where rolname = 'rowlock_worker')")
            if cursor.fetchone()[0]:
                sys.exit(0)
        connection.close()
        trouble = (
            "role rowlock_worker is missing: the operator makes it at its first start; see the operator's log"
        )
    except (AddressMalformed, SettingsError) as malformed:
        sys.exit(f"the database's URL in the Secret cannot be used: {malformed}")
    except psycopg2.OperationalError as error:
        trouble = f"cannot connect: {error}".strip()
    if time.monotonic() > deadline:
        sys.exit(f"the database is not ready after {WAIT_SECONDS:g} s: {trouble}")
    time.sleep(0.5)
