"""`rowlock process run-now`."""

import click

from rowlock_cli.context import ledger_client, process_named
from rowlock_cli.errors import Failed
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client import monitoring


@click.command(
    "run-now", epilog="Exit codes: 0 it looks now, 1 it does not run, or was not found, 2 wrong usage."
)
@click.argument("name", metavar="[NAMESPACE/]NAME")
@output_option
@cluster_options
def run_now(name: str, output: str) -> None:
    """Look for new articles now instead of later.

    The pauses between looks begin anew, too, where they had grown.
    """
    with ledger_client() as client, client.transaction() as cursor:
        monitoring.check_installed(cursor)
        found = process_named(cursor, name)
        if not monitoring.run_now(cursor, found.id):
            phase = monitoring.process_status(cursor, found.id).phase
            raise Failed(
                f"{found.full} does not run (it is {phase}); `rowlock process start {found.full}` starts it"
            )
    click.echo(
        to_json({"process": found.full, "id": found.id})
        if output == "json"
        else f"{found.full} looks for articles now"
    )
