"""`rowlock process status`."""

from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client, process_named
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.monitoring import process_text
from rowlock_client.monitoring import check_installed, list_logins, process_status
from rowlock_client.queries import database_now


@click.command("status")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@output_option
@cluster_options
def status(name: str, output: str) -> None:
    """Show how a process is, and its logins.

    Phase, progress, counters, the next look for articles, the last error; each login with its session.
    """
    with ledger_client() as client, client.transaction() as cursor:
        check_installed(cursor)
        found = process_status(cursor, process_named(cursor, name).id)
        logins = list_logins(cursor, found.id)
        now = database_now(cursor)
    if output == "json":
        click.echo(to_json({**asdict(found), "logins": [asdict(login) for login in logins]}))
    else:
        click.echo(process_text(found, logins, now))
