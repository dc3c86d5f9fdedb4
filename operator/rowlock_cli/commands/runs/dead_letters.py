"""`rowlock dead-letters`."""

import click

from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.options import cluster_options, limit_option, output_option
from rowlock_cli.terminal.json_text import runs_json
from rowlock_cli.terminal.tables import dead_letters_table
from rowlock_client.queries import database_now
from rowlock_client.runs import list_runs


@click.command("dead-letters")
@click.option("--queue", help="Only of this work queue.")
@limit_option
@output_option
@cluster_options
def dead_letters(queue: str | None, limit: int, output: str) -> None:
    """List runs that wait for a person: dead, and unknown."""
    with ledger_client() as client, client.transaction() as cursor:
        found = list_runs(
            cursor,
            limit=limit,
            queue=queue_named(cursor, queue) if queue else None,
            states=("dead", "unknown"),
        )
        if output == "json":
            click.echo(runs_json(found))
        else:
            click.echo(
                dead_letters_table(found, database_now(cursor)) if found else "Nothing is dead or unknown."
            )
