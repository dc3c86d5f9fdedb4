"""`rowlock comments list`."""

from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client, process_named
from rowlock_cli.options import cluster_options, limit_option, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.monitoring import comments_table
from rowlock_cli.terminal.param_types import States, flat
from rowlock_client.monitoring import (
    APPROVALS,
    SHORT_ID_CHARACTERS,
    STATUSES,
    check_installed,
    list_comments,
)
from rowlock_client.queries import database_now


@click.command("list")
@click.option("--process", help="Only of this MonitoringProcess ([NAMESPACE/]NAME).")
@click.option(
    "--status",
    "statuses",
    type=States(STATUSES),
    multiple=True,
    help="Only in these states: several with commas, or repeated.",
)
@click.option(
    "--approval",
    "approvals",
    type=States(APPROVALS),
    multiple=True,
    help="Only written ones on which this was said; waiting = a person is to.",
)
@limit_option
@output_option
@cluster_options
def list_command(
    process: str | None,
    statuses: tuple[tuple[str, ...], ...],
    approvals: tuple[tuple[str, ...], ...],
    limit: int,
    output: str,
) -> None:
    """List comments, the newest first.

    The table shows the beginning of each id, which all commands take; -o json shows the whole ones.
    """
    with ledger_client() as client, client.transaction() as cursor:
        check_installed(cursor)
        chosen = process_named(cursor, process).id if process else None
        found = list_comments(
            cursor, process_id=chosen, statuses=flat(statuses), approvals=flat(approvals), limit=limit
        )
        now = database_now(cursor)
    if output == "json":
        click.echo(
            to_json([{**asdict(comment), "short_id": comment.id[:SHORT_ID_CHARACTERS]} for comment in found])
        )
    else:
        click.echo(comments_table(found, now) if found else "No comments match.")
