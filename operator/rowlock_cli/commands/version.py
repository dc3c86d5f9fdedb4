"""`rowlock version`."""

from importlib.metadata import version as installed_version

import click

from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json


@click.command("version")
@output_option
@cluster_options
def version(output: str) -> None:
    """Print the version of this command."""
    mine = installed_version("rowlock")
    click.echo(to_json({"version": mine}) if output == "json" else mine)
