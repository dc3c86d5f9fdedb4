"""A login whose settings are not the usual ones: what ALTER ROLE ... SET, a hosting provider or another
application's needs may have changed.
"""

from tests.services.postgres import connect

SETTINGS = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "timezone": "Asia/Kathmandu",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "check_function_bodies": "off",
    "default_toast_compression": "pglz",
    "statement_timeout": "1s",
    "lock_timeout": "20ms",
    "idle_in_transaction_session_timeout": "300ms",
    "idle_session_timeout": "700ms",
}


def make_hostile(database: str, **changes: str | None) -> str:
    """From now on, the login of this address has such settings in its database. Returns the address of one
    that has none, for the test itself.

    `changes` by name; None leaves one as it is.
    """
    server, name = database.rsplit("/", 1)
    admin = f"{server}/postgres"
    with connect(admin) as cursor:
        for setting, value in {**SETTINGS, **changes}.items():
            if value is not None:
                cursor.execute(f"alter role postgres in database {name} set {setting} = %s", (value,))
        cursor.execute("select from pg_roles where rolname = 'plain'")
        if not cursor.fetchall():
            cursor.execute("create role plain superuser login")
    return database.replace("//postgres@", "//plain@")
