"""What ends the command: 1 for something not found or failed, 2 (click's own) for wrong usage."""

import click


class Failed(click.ClickException):
    """A sentence that names the object, what failed, and the remedy. Exit code 1."""

    exit_code = 1


class LedgerMissing(Failed):
    """The database answers but holds no ledger of this version."""
