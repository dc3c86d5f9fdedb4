"""Brings a database's ledger to this version. Expand first, contract one release later: an older operator or worker keeps working on a newer schema."""

from importlib.resources import files

from rowlock_operator.api import reasons
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Holder
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.statements import statements

_HOLDERS = statements("ledger_calls")["table_holders"]


def ledger_files() -> list[tuple[str, str]]:
    """(version, text) of every migration in order."""
    folder = files(__package__) / "sql" / "ledger"
    return sorted((f.name.removesuffix(".sql"), f.read_text()) for f in folder.iterdir() if f.name.endswith(".sql"))


def migrate(pool: Pool) -> list[str]:
    """Applies what is missing, all or nothing, and returns the versions applied. Several operators may call it at once: one works, the others wait.

    Raises GiveUp (LedgerLocked) with the name of whoever holds what it needs for longer than some seconds, RetryLater where the database is away.
    """
    try:
        return _migrate(pool)
    except GiveUp as error:
        if error.reason != reasons.TABLE_LOCKED.name:
            raise
        holder = next((Holder(*row) for row in pool.rows("looking for who holds the ledger", _HOLDERS)), None)
        if holder is None:
            raise
        remedy = f"select pg_terminate_backend({holder.pid})"
        raise reasons.LEDGER_LOCKED.error(what=holder.what, holder=holder.described, remedy=remedy) from error


def _migrate(pool: Pool) -> list[str]:
    applied: list[str] = []
    with pool.transaction("migrating the ledger") as cursor:
        cursor.execute("select pg_advisory_xact_lock(7700, 2)")
        cursor.execute("select to_regclass('rowlock.migration') is not null")
        known: set[str] = set()
        if (cursor.fetchone() or (False,))[0]:
            cursor.execute("select version from rowlock.migration")
            known = {row[0] for row in cursor.fetchall()}
        for version, text in ledger_files():
            if version not in known:
                cursor.execute(text)
                cursor.execute("insert into rowlock.migration(version) values (%s)", (version,))
                applied.append(version)
    return applied
