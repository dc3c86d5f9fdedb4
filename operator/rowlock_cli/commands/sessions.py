"""`rowlock sessions`: the logins of the monitoring, and how their sessions are."""

from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client, process_named
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.monitoring import logins_table
from rowlock_client.monitoring import check_installed, list_logins
from rowlock_client.queries import database_now


@click.command("sessions")
@click.option("--process", help="Only the logins of this MonitoringProcess ([NAMESPACE/]NAME).")
@output_option
@cluster_options
def sessions(process: str | None, output: str) -> None:
    """Show logins at sites, and their sessions.

    SESSION and EXPIRES are the age and the rest of the session that is used (- = the next use logs in),
    LOGINS how often the login form was sent, IN USE how many tasks use it now. States: ok; backing_off
    (refused, tried again later); needs_reauth (refused three times: correct the Secret). No user name,
    password or cookie is shown.
    """
    with ledger_client() as client, client.transaction() as cursor:
        check_installed(cursor)
        found = list_logins(cursor, process_named(cursor, process).id if process else None)
        now = database_now(cursor)
    if output == "json":
        click.echo(to_json([asdict(login) for login in found]))
    else:
        click.echo(
            logins_table(found, now)
            if found
            else "No login is known yet: each MonitoringProcess brings its own."
        )
