"""Creates the domain tables. For a login that may create tables: the worker's own must not."""

import logging
from importlib.resources import files
from importlib.resources.abc import Traversable

import psycopg2

from rowlock_jobs.errors import RowlockError
from rowlock_jobs.fence.connection import check_address, connect_for_transactions
from rowlock_jobs.secret_files import Address

_log = logging.getLogger(__name__)


class MigrationFailed(RowlockError):
    """Nothing was changed; the message names the migration, the cause and the remedy."""


def migrate(address: Address) -> list[str]:
    """Applies what the database at that address has not had yet, in one transaction, and returns the names of
    it.

    Several may run at once: one works, the others wait and find nothing to do. Tables that exist already stay
    unchanged. MigrationFailed where the database cannot be reached or refuses, SettingsError where the
    address can never be used.
    """
    check_address(address)
    schema = files("rowlock_jobs.work").joinpath("schema")
    step = "connecting"
    try:
        connection = connect_for_transactions(address, "rowlock-migrate")
        try:
            with connection, connection.cursor() as cur:
                step = "preparing"
                cur.execute(_text(schema.joinpath("statements", "prepare.sql")))
                cur.execute(_text(schema.joinpath("statements", "applied.sql")))
                had = {name for (name,) in cur.fetchall()}
                new = [file for file in _sql_files(schema) if _name(file) not in had]
                for file in new:
                    step = _name(file)
                    cur.execute(_text(file))
                    cur.execute(_text(schema.joinpath("statements", "note.sql")), {"name": step})
                for file in _sql_files(schema.joinpath("every_time")):
                    step = _name(file)
                    cur.execute(_text(file))
            for notice in connection.notices:
                if "already exists" not in notice:
                    _log.warning("migration_notice %s", notice.strip())
            return [_name(file) for file in new]
        finally:
            connection.close()
    except psycopg2.Error as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MigrationFailed(
            f"the domain tables were not changed; {step} failed: {cause}. Check the login's rights, then run"
            " it again."
        ) from error


def _sql_files(folder: Traversable) -> list[Traversable]:
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )


def _name(file: Traversable) -> str:
    return file.name.removesuffix(".sql")


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
