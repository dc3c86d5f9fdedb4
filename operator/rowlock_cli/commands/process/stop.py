"""`rowlock process stop`."""

import click

from rowlock_cli.commands.process.change import change, waiting_options
from rowlock_cli.commands.process.progress import has_stopped, stop_changes
from rowlock_cli.options import cluster_options, output_option


@click.command(
    "stop",
    epilog=(
        "Exit codes: 0 it has ended (with --no-wait: it was asked to), 1 it has not in time, or was not"
        " found, 2 wrong usage."
    ),
)
@click.argument("name", metavar="[NAMESPACE/]NAME")
@waiting_options
@output_option
@cluster_options
def stop(name: str, no_wait: bool, timeout_seconds: float, output: str) -> None:
    """Stop a process: nothing more is sent to the site.

    Works in the namespace of -n, else the current one, with your own rights in Kubernetes: sets spec.state to
    Stopped; waits until the process has ended. Comments that wait for approval can be approved and posted
    later, too.
    """
    change(name, stop_changes, has_stopped, "stop", no_wait, timeout_seconds, output)
