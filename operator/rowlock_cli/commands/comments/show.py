"""`rowlock comments show`."""

from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.monitoring import comment_text
from rowlock_client.monitoring import check_installed, find_comment
from rowlock_client.queries import database_now


@click.command("show")
@click.argument("comment")
@output_option
@cluster_options
def show_command(comment: str, output: str) -> None:
    """Show a comment, its article shortened, and what it cost.

    COMMENT is an id, or the beginning of one.
    """
    with ledger_client() as client, client.transaction() as cursor:
        check_installed(cursor)
        found = find_comment(cursor, comment)
        now = database_now(cursor)
    click.echo(to_json(asdict(found)) if output == "json" else comment_text(found, now))
