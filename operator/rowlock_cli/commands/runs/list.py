"""`rowlock runs`."""

from datetime import datetime

import click

from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.options import cluster_options, limit_option, output_option
from rowlock_cli.terminal.json_text import runs_json
from rowlock_cli.terminal.param_types import Since, States, ago, flat
from rowlock_cli.terminal.tables import runs_table
from rowlock_client.queries import database_now
from rowlock_client.runs import first_id_since, list_runs
from rowlock_client.stats import queues_gone


@click.command("runs")
@click.option("--queue", help="Only of this work queue (namespace/name, or the name where it is unique).")
@click.option(
    "--state",
    "states",
    type=States(),
    multiple=True,
    help="Only in these states: several with commas, or repeated.",
)
@click.option("--source", help="Only of this RowSource (namespace/name, or the name).")
@click.option("--task", help="Only of this task.")
@click.option("--key", help="Only of this key (a row's key, or the one given to enqueue).")
@click.option(
    "--since",
    type=Since(),
    metavar="10m|MOMENT",
    help="Only made since: so long ago, or an ISO 8601 moment with a time zone.",
)
@limit_option
@output_option
@cluster_options
def list_command(
    queue: str | None,
    states: tuple[tuple[str, ...], ...],
    source: str | None,
    task: str | None,
    key: str | None,
    since: float | datetime | None,
    limit: int,
    output: str,
) -> None:
    """List runs, the newest first."""
    with ledger_client() as client, client.transaction() as cursor:
        full = queue_named(cursor, queue) if queue else None
        now = database_now(cursor)
        start = ago(now, since) if isinstance(since, float) else since
        found = list_runs(
            cursor, limit=limit, queue=full, states=flat(states), source=source, task=task, key=key,
            since=start, bounds=(first_id_since(start), "f" * 32) if start else None,
        )  # fmt: skip
        gone = queues_gone(cursor)
    if output == "json":
        click.echo(runs_json(found))
    else:
        click.echo(runs_table(found, now, gone) if found else "No runs match.")
