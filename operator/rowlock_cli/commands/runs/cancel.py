"""`rowlock cancel`."""

import click

from rowlock_cli.commands.runs.clear import WAITING, clear
from rowlock_cli.commands.runs.report import report
from rowlock_cli.confirm import check_asking
from rowlock_cli.context import ledger_client
from rowlock_cli.options import cluster_options, output_option
from rowlock_client import operations
from rowlock_client.runs import find_run


@click.command(
    "cancel",
    epilog=(
        "Exit codes: 0 all are canceled or told to end, 1 some were left or not found, or the answer was no,"
        " 2 wrong usage."
    ),
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--queue", help="With --all-waiting: of this work queue.")
@click.option(
    "--all-waiting",
    is_flag=True,
    help="All runs of the queue that have not started; asks first. Running ones go on.",
)
@click.option("--reason", default="Canceled", show_default=True, help="Shown with the run.")
@click.option("--yes", is_flag=True, help="With --all-waiting: do not ask.")
@click.option("--dry-run", is_flag=True, help="With --all-waiting: only say how many there are.")
@output_option
@cluster_options
def cancel(
    runs: tuple[str, ...],
    queue: str | None,
    all_waiting: bool,
    reason: str,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """End runs: waiting ones at once, running ones within seconds."""
    if bool(runs) == all_waiting or all_waiting != bool(queue):
        raise click.UsageError("name the runs, or say --queue QUEUE --all-waiting")
    if queue:
        check_asking(yes=yes, dry_run=dry_run, output=output)
        clear(
            "cancel", queue, WAITING, older_seconds=0, reason=reason, yes=yes, dry_run=dry_run, output=output
        )
        return
    if yes or dry_run:
        raise click.UsageError(
            "--yes and --dry-run belong to --all-waiting: runs that are named are canceled without a question"
        )
    told, left = [], []
    with ledger_client() as client, client.transaction() as cursor:
        for beginning in runs:
            run = find_run(cursor, beginning)
            if operations.cancel(cursor, run.id, reason):
                told.append(
                    (run.id, f"{run.id} {'is told to end' if run.state == 'running' else 'is canceled'}")
                )
            else:
                left.append(
                    f"{run.id} was told to end already"
                    if run.cancel_requested
                    else f"{run.id} is {run.state}: nothing to cancel"
                )
    report("canceled", told, left, output)
