"""What the pod of a CronJob does: one run for one tick of a schedule, however often the pod comes."""

from collections.abc import Mapping

import psycopg2

from rowlock_jobs.errors import RowlockError, SettingsError
from rowlock_jobs.fence.connection import check_address, connect_for_transactions
from rowlock_jobs.settings import find_database

_TICK = "select monitoring.tick_v1(%(schedule)s, %(tick)s, %(queue)s, %(task)s)::text"


class TickFailed(RowlockError):
    """The tick was not written; the pod is tried again."""


def tick(environment: Mapping[str, str]) -> str:
    """Writes the tick and says what became of it. Raises SettingsError for a missing variable, TickFailed
    where the database refuses.

    ROWLOCK_TICK names the scheduled moment (the name of the CronJob's Job ends with its minute), not the
    moment the pod came.
    """
    database = find_database(environment, "tick needs a database")
    check_address(database)
    values = {}
    for name, variable in (("schedule", "_SCHEDULE"), ("tick", ""), ("task", "_TASK")):
        values[name] = environment.get(f"ROWLOCK_TICK{variable}", "")
        if not values[name]:
            raise SettingsError(f"ROWLOCK_TICK{variable} is not set")
    values["queue"] = environment.get("ROWLOCK_QUEUE", "")
    if not values["queue"]:
        raise SettingsError("ROWLOCK_QUEUE is not set")
    try:
        connection = connect_for_transactions(database, "rowlock-tick")
        try:
            with connection, connection.cursor() as cur:
                cur.execute(_TICK, values)
                row = cur.fetchone()
        finally:
            connection.close()
    except psycopg2.Error as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TickFailed(f"tick {values['tick']} of {values['schedule']} was not written: {cause}") from error
    return f"run {row[0]}" if row and row[0] else f"tick {values['tick']} was taken before"
