"""`rowlock comments approve`."""

from typing import Any

import click

from rowlock_cli.commands.comments.decision import decide, decision_options
from rowlock_cli.options import cluster_options, output_option


@click.command(
    "approve",
    epilog=(
        "Exit codes: 0 all are approved, 1 some were left or not found, or the answer was no, 2 wrong usage."
    ),
)
@decision_options
@output_option
@cluster_options
def approve(**given: Any) -> None:
    """Approve comments: they are posted, also after their process has ended.

    COMMENT is an id, or the beginning of one. Only written ones can be approved.
    """
    decide("approved", **given)
