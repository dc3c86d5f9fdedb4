"""`rowlock delete-runs`."""

import click

from rowlock_cli.commands.runs.clear import clear
from rowlock_cli.confirm import check_asking
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.param_types import Duration, States, flat

_STATES = ("dead", "unknown", "canceled", "succeeded", "pending")


@click.command(
    "delete-runs", epilog="Exit codes: 0 done or nothing to do, 1 failed or the answer was no, 2 wrong usage."
)
@click.option("--queue", required=True, help="Of this work queue.")
@click.option(
    "--state",
    "states",
    type=States(_STATES),
    multiple=True,
    default=("dead",),
    show_default="dead",
    help=(
        "Runs in these states: several with commas, or repeated. Pending ones are canceled instead of"
        " deleted, and stand alone."
    ),
)
@click.option(
    "--older-than",
    "older_seconds",
    type=Duration(),
    default="0s",
    metavar="7d",
    help="Only those that ended (pending: were made) so long ago.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@output_option
@cluster_options
def delete_runs(
    queue: str,
    states: tuple[tuple[str, ...], ...],
    older_seconds: float,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Delete ended runs for good; asks first.

    The operator deletes them by itself once they are past the history of the WorkQueue. A row that was taken
    once is not taken again by this.
    """
    chosen = flat(states)
    if "pending" in chosen and len(chosen) > 1:
        raise click.UsageError("--state pending cancels, the other states delete: say one after the other")
    check_asking(yes=yes, dry_run=dry_run, output=output)
    verb = "cancel" if chosen == ("pending",) else "delete"
    clear(
        verb,
        queue,
        chosen,
        older_seconds=older_seconds,
        reason="Canceled",
        yes=yes,
        dry_run=dry_run,
        output=output,
    )
