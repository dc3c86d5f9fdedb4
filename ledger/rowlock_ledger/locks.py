"""The advisory locks of a database that has a ledger, by name. docs/contracts.md has the same table; a test
compares both with every statement that takes one.

All are of two numbers, so that they meet no lock of one number that an application takes. All but the hint's
are of a transaction, so that they work through PgBouncer in transaction mode.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdvisoryLock:
    """`key` is a number, or the SQL of a number where there is a lock for each value."""

    space: int
    key: str
    holder: str


CLAIMER = AdvisoryLock(7700, "1", "the claimer, and whoever changes limits")
MIGRATIONS = AdvisoryLock(7700, "2", "migrations, of the ledger and of the domain tables")
HINT = AdvisoryLock(7700, "3", "the hint's listener while it wants a NOTIFY; who inserts looks at it, shared")
ENDS = AdvisoryLock(7700, "5", "sweeps, and whoever tells how a pod or a container ended")
OWNER = AdvisoryLock(
    7701, "hashtext(owner)", "the start of a MonitoringProcess, one at a time for each owner"
)

LOCKS = (CLAIMER, MIGRATIONS, HINT, ENDS, OWNER)
