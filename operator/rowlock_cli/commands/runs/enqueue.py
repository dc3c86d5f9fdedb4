"""`rowlock enqueue`."""

import json
from typing import Any

import click

from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import runs_json, to_json
from rowlock_client import operations
from rowlock_client.runs import RunRow
from rowlock_client.text import sentences


@click.command(
    "enqueue",
    epilog=(
        "Exit codes: 0 enqueued (with --wait: succeeded), 1 failed (with --wait: did not succeed in time), 2"
        " wrong usage."
    ),
)
@click.argument("queue")
@click.argument("task")
@click.option(
    "--arg",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="One argument; read as JSON where it is JSON, else as text. May be repeated.",
)
@click.option("--args", "text", metavar="JSON", help="All arguments as one JSON object.")
@click.option("--key", help="At most one active run of the queue has this key.")
@click.option(
    "--priority", type=click.IntRange(-100, 100), default=0, show_default=True, help="Higher goes first."
)
@click.option(
    "--wait-for-queue",
    is_flag=True,
    help="Also where there is no such queue yet (NAMESPACE/NAME): the run waits for its WorkQueue.",
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 0 only if it succeeded.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --wait: give up waiting after so long.",
)
@output_option
@cluster_options
def enqueue(
    queue: str,
    task: str,
    pairs: tuple[str, ...],
    text: str | None,
    key: str | None,
    priority: int,
    wait_for_queue: bool,
    wait: bool,
    timeout_seconds: float | None,
    output: str,
) -> None:
    """Run TASK once in QUEUE."""
    arguments = parse_arguments(pairs, text)
    with ledger_client() as client:
        with client.transaction() as cursor:
            full = queue if wait_for_queue and "/" in queue else queue_named(cursor, queue)
            made = operations.enqueue(
                cursor, full, task, arguments, key=key, priority=priority, wait_for_queue=wait_for_queue
            )
        if made.existed:
            click.echo(f"an active run of {full} has the key {key} already: {made.id}", err=True)
        if wait:
            run = operations.wait_for_end(client, made.id, timeout_seconds=timeout_seconds)
            click.echo(runs_json([run]) if output == "json" else sentences([_outcome(run)]))
            if run.state != "succeeded":
                raise click.exceptions.Exit(1)
        else:
            facts = {"id": made.id, "queue": full, "existed": made.existed}
            click.echo(to_json(facts) if output == "json" else made.id)


def parse_arguments(pairs: tuple[str, ...], text: str | None) -> dict[str, Any]:
    """The arguments of a task from `--args` and `--arg name=value` (which wins). click.UsageError for what is
    neither.
    """
    arguments: dict[str, Any] = {}
    if text is not None:
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"--args is not JSON that can be read: {error}") from error
        if not isinstance(whole, dict):
            raise click.UsageError('--args must be a JSON object, such as {"id": 17}')
        arguments = whole
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--arg {pair!r} is not NAME=VALUE")
        try:
            arguments[name] = json.loads(value)
        except (ValueError, RecursionError):
            arguments[name] = value
    return arguments


def _outcome(run: RunRow) -> str:
    if run.state == "succeeded":
        return f"{run.id} succeeded" + ("" if run.result is None else f": {json.dumps(run.result)}")
    reason = run.failed_with("reason") or "no reason recorded"
    return f"{run.id} is {run.state}: {reason}: {run.failed_with('message')}".rstrip(": ")
