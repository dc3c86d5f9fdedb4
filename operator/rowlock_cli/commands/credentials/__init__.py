"""`rowlock credentials`: the keys under which logins, sessions and API keys are stored.

Invariant: at every moment every pod opens everything that is stored; a key is named by its fingerprint.
"""

import click

from rowlock_cli.lazy import Entry, LazyGroup
from rowlock_cli.options import cluster_options

_HERE = "rowlock_cli.commands.credentials"


@click.group(
    "credentials",
    cls=LazyGroup,
    entries={
        "rotate": Entry(f"{_HERE}.rotate:rotate", "Change to a new encryption key, without downtime."),
        "reencrypt": Entry(
            f"{_HERE}.reencrypt:reencrypt", "Encrypt what is stored anew, with the first key."
        ),
    },
)
@cluster_options
def credentials() -> None:
    """Change the keys that logins are encrypted with."""
