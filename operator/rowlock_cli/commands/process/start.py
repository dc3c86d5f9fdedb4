"""`rowlock process start`."""

from datetime import UTC, datetime

import click

from rowlock_cli.commands.process.change import change, waiting_options
from rowlock_cli.commands.process.progress import has_started, start_changes
from rowlock_cli.options import cluster_options, output_option


@click.command(
    "start",
    epilog=(
        "Exit codes: 0 it runs (with --no-wait: it was asked to), 1 it does not run in time, or at all, 2"
        " wrong usage."
    ),
)
@click.argument("name", metavar="[NAMESPACE/]NAME")
@waiting_options
@output_option
@cluster_options
def start(name: str, no_wait: bool, timeout_seconds: float, output: str) -> None:
    """Start a process, also one that has ended.

    Works in the namespace of -n, else the current one, with your own rights in Kubernetes: sets spec.state to
    Running and, where the process has ended, another spec.startRequest; waits until it runs. Its duration
    counts anew. What keeps your manifests in Git may set the fields back.
    """
    request = datetime.now(UTC).isoformat(timespec="microseconds")
    change(
        name,
        lambda found: start_changes(found, request),
        has_started,
        "start",
        no_wait,
        timeout_seconds,
        output,
    )
