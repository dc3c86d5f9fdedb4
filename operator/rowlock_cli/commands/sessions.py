"""`rowlock sessions`: the logins of the monitoring, and how their sessions are."""

from dataclasses import asdict

import click

from rowlock_cli import show
from rowlock_cli.figures import database_now
from rowlock_cli.monitored import check_installed, list_logins
from rowlock_cli.monitored_show import logins_table
from rowlock_cli.session import cluster_options, ledger, output_option, process_named


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
    with ledger() as opened, opened.transaction() as cur:
        check_installed(cur)
        found = list_logins(cur, process_named(cur, process).id if process else None)
        now = database_now(cur)
    if output == "json":
        click.echo(show.to_json([asdict(login) for login in found]))
    else:
        click.echo(
            logins_table(found, now)
            if found
            else "No login is known yet: each MonitoringProcess brings its own."
        )
