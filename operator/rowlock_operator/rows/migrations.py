"""Brings a database's ledger to this version. Expand first, contract one release later: an older operator or worker keeps working on a newer schema."""

from importlib.resources import files

from rowlock_operator.rows.pool import Pool


def ledger_files() -> list[tuple[str, str]]:
    """(version, text) of every migration in order."""
    folder = files(__package__) / "sql" / "ledger"
    return sorted((f.name.removesuffix(".sql"), f.read_text()) for f in folder.iterdir() if f.name.endswith(".sql"))


def migrate(pool: Pool) -> list[str]:
    """Applies what is missing, all or nothing, and returns the versions applied. Several operators may call it at once: one works, the others wait."""
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
