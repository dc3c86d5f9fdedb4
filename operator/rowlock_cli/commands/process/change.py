"""What start and stop share: one change of the spec, and a look until the operator has followed it."""

import time
from collections.abc import Callable
from typing import Any

import click

from rowlock_cli.commands.process.progress import Step
from rowlock_cli.context import context_option, namespace_option
from rowlock_cli.errors import Failed
from rowlock_cli.kube.cluster import Cluster, connected
from rowlock_cli.terminal.json_text import to_json

_POLL_SECONDS = 0.5
_NEEDS = "get and patch monitoringprocesses.rowlock.dev (the role edit of its namespace may)"


def waiting_options(command: Any) -> Any:
    """--timeout and --no-wait."""
    for option in (
        click.option("--no-wait", is_flag=True, help="Do not wait until the operator has done it."),
        click.option(
            "--timeout",
            "timeout_seconds",
            type=click.FloatRange(min=0),
            default=120,
            show_default=True,
            metavar="SECONDS",
            help="Give up waiting after so long; what was asked for stays asked for.",
        ),
    ):
        command = option(command)
    return command


def change(
    name: str,
    changes: Callable[[dict[str, Any]], dict[str, Any]],
    look: Callable[[dict[str, Any], int], Step],
    verb: str,
    no_wait: bool,
    timeout_seconds: float,
    output: str,
) -> None:
    """Changes what `changes` says of the spec, then waits until `look` finds it followed, and tells so.
    Raises Failed where it is not followed in time, or cannot be.
    """
    given, _, last = name.rpartition("/")
    with connected(namespace=given or namespace_option(), context=context_option(), needs=_NEEDS) as cluster:
        found = cluster.process(cluster.namespace, last)
        wanted = changes(found)
        if wanted:
            found = cluster.change_process(cluster.namespace, last, wanted)
        generation = int(found["metadata"]["generation"])
        full = f"{cluster.namespace}/{last}"
        if no_wait:
            step = Step(True, True, f"is asked to {verb}" if wanted else f"was asked to {verb} already")
        else:
            found, step = _follow(cluster, last, lambda now: look(now, generation), timeout_seconds)
    if output == "json":
        facts = {
            "process": full,
            "changed": wanted,
            "well": step.well,
            "said": step.sentence,
            "status": found.get("status") or {},
        }
        click.echo(to_json(facts))
    elif step.well:
        click.echo(f"{full} {step.sentence}" + ("" if wanted or no_wait else " (nothing had to be changed)"))
    if not step.well and not step.over:
        more = f"`kubectl -n {cluster.namespace} describe monitoringprocess {last}` tells more"
        raise Failed(f"after {timeout_seconds:g} s {full} {step.sentence.rstrip('.')}; {more}")
    if not step.well:
        raise Failed(f"{full} {step.sentence}")


def _follow(
    cluster: Cluster, name: str, look: Callable[[dict[str, Any]], Step], timeout_seconds: float
) -> tuple[dict[str, Any], Step]:
    end = time.monotonic() + timeout_seconds
    while True:
        found = cluster.process(cluster.namespace, name)
        step = look(found)
        if step.over or time.monotonic() > end:
            return found, step
        time.sleep(_POLL_SECONDS)
