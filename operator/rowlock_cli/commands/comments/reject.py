"""`rowlock comments reject`."""

from typing import Any

import click

from rowlock_cli.commands.comments.decision import decide, decision_options
from rowlock_cli.options import cluster_options, output_option


@click.command(
    "reject",
    epilog=(
        "Exit codes: 0 all are rejected, 1 some were left or not found, or the answer was no, 2 wrong usage."
    ),
)
@decision_options
@output_option
@cluster_options
def reject(**given: Any) -> None:
    """Reject comments: they are not posted.

    COMMENT is an id, or the beginning of one. What was rejected can be approved later, and the other way
    round until it is being posted.
    """
    decide("rejected", **given)
