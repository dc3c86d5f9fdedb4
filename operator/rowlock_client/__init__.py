"""A client of the ledger for any Python program: runs, queues, why a run waits, enqueue, requeue, cancel.

    with Client(url) as client, client.transaction() as cursor:
        print(explain_run(run_facts(cursor, "01a206c0")))

`Client` opens one short transaction at a time; every query and operation is a function that takes the
transaction's cursor, or the client where it needs several transactions. errors.py says what they raise.

Invariant: knows neither the command line nor operator nor worker; prints nothing and reads no options.
Invariant: rows change only through versioned functions; a login that may read only the view `rowlock.run` is
served too.
Invariant: no part of an address is in an error.
"""

from rowlock_client.connection import Client, Cursor
from rowlock_client.errors import (
    AddressUnusable,
    Ambiguous,
    ClientError,
    LedgerMissing,
    NotAllowed,
    NotFound,
    Refused,
    TimedOut,
    Unavailable,
)

__all__ = [
    "AddressUnusable",
    "Ambiguous",
    "Client",
    "ClientError",
    "Cursor",
    "LedgerMissing",
    "NotAllowed",
    "NotFound",
    "Refused",
    "TimedOut",
    "Unavailable",
]
