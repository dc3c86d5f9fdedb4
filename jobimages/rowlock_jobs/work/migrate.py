"""Creates the domain tables (rowlock_ledger.install). For a login that may create tables: the worker's own
must not.
"""

import logging
from importlib.resources import files

import psycopg2

from rowlock_jobs.errors import RowlockError
from rowlock_jobs.fence.connection import check_address, connect_for_transactions
from rowlock_jobs.secret_files import Address
from rowlock_ledger.install import Schema, install
from rowlock_ledger.statements import load_statements

DOMAINS = Schema(
    "rowlock_domain",
    files("rowlock_jobs.work").joinpath("schema"),
    tables=("schema.sql", "documents.sql", "monitoring.sql"),
)
_SQL = load_statements("rowlock_jobs.work", "migrate.sql")
_log = logging.getLogger(__name__)


class MigrationFailed(RowlockError):
    """Nothing was changed; the message names the file of the schema, the cause and the remedy."""


def migrate(address: Address) -> list[str]:
    """Applies what the database at that address has not had yet, in one transaction, and returns the versions
    of it.

    Several may run at once: one works, the others wait and find nothing to do. Tables that exist already stay
    unchanged. MigrationFailed where the database cannot be reached or refuses, SettingsError where the
    address can never be used.
    """
    check_address(address)
    step = "connecting"

    def before(name: str) -> None:
        nonlocal step
        step = name

    try:
        connection = connect_for_transactions(address, "rowlock-migrate")
        try:
            with connection, connection.cursor() as cursor:
                before("preparing")
                cursor.execute(_SQL["settings"])
                applied = install(cursor, DOMAINS, before=before)
            for notice in connection.notices:
                if "already exists" not in notice:
                    _log.warning("migration_notice", extra={"rowlock": {"notice": notice.strip()}})
            return applied
        finally:
            connection.close()
    except psycopg2.Error as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MigrationFailed(
            f"the domain tables were not changed; {step} failed: {cause}. Check the login's rights, then run"
            " it again."
        ) from error
