"""From the text in a Secret to a connection: the only place that hands an address to libpq, and it hands over
parts.
"""

from collections.abc import Mapping
from typing import Any

import psycopg2
import psycopg2.extensions

from rowlock_ledger.addresses import (
    DATABASE_FORM,
    UNSUPPORTED_ENCODING,
    AddressMalformed,
    DatabaseAddress,
    cause_of,
    read_database_address,
)
from rowlock_operator.api import reasons


def read_address(url: str) -> DatabaseAddress:
    """Raises GiveUp (SecretMalformed) for an address that cannot be read; no part of it is in the error."""
    try:
        address = read_database_address(url)
        # refuses options that this libpq does not know
        psycopg2.extensions.make_dsn(None, **address.parameters)
        return address
    except AddressMalformed as error:
        why = error.why
    except (psycopg2.Error, TypeError):
        why = "it has an option that libpq does not know"
    # Outside of the handlers: an error that stays behind as the context of ours would carry what it quotes.
    raise reasons.SECRET_MALFORMED.error(
        fact=f"The database's URL in the Secret cannot be read: {why}", form=DATABASE_FORM
    )


def connect(address: DatabaseAddress, options: Mapping[str, Any]) -> psycopg2.extensions.connection:
    """`options` win over the address's own; text is UTF-8 whatever the database keeps it in.

    Raises psycopg2.OperationalError in our words: libpq's quote whatever it took for a host. Raises GiveUp
    (EncodingNotSupported) for a database that does not know which characters its bytes are.
    """
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(
            **{**address.parameters, **options, "client_encoding": "utf8"}
        )
    except psycopg2.Error as error:
        cause = cause_of(str(error))
    else:
        if connection.get_parameter_status("server_encoding") == "SQL_ASCII":
            connection.close()
            raise reasons.ENCODING_NOT_SUPPORTED.error(
                fact=f"Rowlock cannot work in database {address.name}: {UNSUPPORTED_ENCODING}"
            )
        return connection
    raise psycopg2.OperationalError(cause)
