"""`rowlock requeue`."""

import click

from rowlock_cli.commands.runs.report import report
from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.errors import Failed
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client import Client, operations
from rowlock_client.runs import RunRow, find_run


@click.command(
    "requeue", epilog="Exit codes: 0 all are pending again, 1 some were left or not found, 2 wrong usage."
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--queue", help="With --all-dead: of this work queue.")
@click.option(
    "--all-dead", is_flag=True, help="All dead runs of the queue (those with an unknown outcome only by id)."
)
@output_option
@cluster_options
def requeue(runs: tuple[str, ...], queue: str | None, all_dead: bool, output: str) -> None:
    """Run dead, unknown or canceled runs again.

    They get fresh budgets of retries, the next attempt number, and the arguments of their row as it is now.
    """
    if bool(runs) == all_dead or all_dead != bool(queue):
        raise click.UsageError("name the runs, or say --queue QUEUE --all-dead")
    with ledger_client() as client:
        if queue:
            _requeue_all_dead(client, queue, output)
            return
        with client.transaction() as cursor:
            chosen = [find_run(cursor, beginning) for beginning in runs]
            gone = operations.requeue(cursor, [run.id for run in chosen])
    told = [
        (run.id, f"{run.id} is pending again (attempt {run.attempt + 1})") for run in chosen if run.id in gone
    ]
    report("requeued", told, [_why_not(run) for run in chosen if run.id not in gone], output)


def _requeue_all_dead(client: Client, queue: str, output: str) -> None:
    with client.transaction() as cursor:
        full = queue_named(cursor, queue)
    seen, done = operations.requeue_all_dead(client, full)
    if output == "json":
        click.echo(to_json({"queue": full, "dead": seen, "requeued": done}))
    else:
        click.echo(f"{done} of {seen} dead runs of {full} are pending again")
    if done < seen:
        raise Failed(
            f"{seen - done} were left: another active run has their key; `rowlock dead-letters --queue"
            f" {full}` lists them"
        )


def _why_not(run: RunRow) -> str:
    if run.state in ("dead", "unknown", "canceled"):
        return f"{run.id} stays {run.state}: another active run has its key {run.source_key}"
    return f"{run.id} is {run.state}; only dead, unknown and canceled runs are requeued"
