"""The task rotate_credentials, which encrypts anew what is stored: asked for and waited for."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rowlock_cli.context import client_here, context_option
from rowlock_cli.errors import Failed
from rowlock_cli.kube.operator_pod import run_in_operator
from rowlock_client import Client, TimedOut, operations
from rowlock_client.runs import RunRow
from rowlock_client.text import progress_text

F = TypeVar("F", bound=Callable[..., Any])
QUEUE = "sessions"
_TASK = "rotate_credentials"


def timeout_option(what: str) -> Callable[[F], F]:
    """--timeout, with `what` as its help."""
    return click.option(
        "--timeout",
        "timeout_seconds",
        type=click.FloatRange(min=0),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help=what,
    )


def report_from_here(namespace: str, timeout_seconds: float, *, check: bool) -> dict[str, Any]:
    """The task's report, asked for where the database is within reach: here, or in the operator's pod."""
    client = client_here()
    if client is not None:
        with client:
            return run_task(client, f"{namespace}/{QUEUE}", timeout_seconds, check=check)
    answer = bytearray()
    words = [
        "credentials",
        "reencrypt",
        "-n",
        namespace,
        "--timeout",
        str(timeout_seconds),
        "-o",
        "json",
        *(["--check"] if check else []),
    ]
    run_in_operator(words, namespace=namespace, context=context_option(), write=answer.extend)
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:
        # The pod's own words about it stand on this terminal already.
        raise Failed(
            "encrypting anew did not come to its end; run this again, it goes on where it is"
        ) from None
    return found


def run_task(client: Client, queue: str, timeout_seconds: float, *, check: bool) -> dict[str, Any]:
    """Enqueues the task and waits for its report, telling how far it is. check: it only counts. Raises Failed
    where it fails, or takes too long.
    """
    key = _TASK + (":check" if check else "")
    with client.transaction() as cursor:
        made = operations.enqueue(cursor, queue, _TASK, {"check": True} if check else {}, key=key)
    told = ""

    def tell(run: RunRow) -> None:
        nonlocal told
        progress = progress_text(run.progress)
        if progress and progress != told:
            click.echo(f"  {progress}", err=True)
            told = progress

    try:
        run = operations.wait_for_end(client, made.id, timeout_seconds=timeout_seconds, each=tell)
    except TimedOut as error:
        raise Failed(
            f"{_TASK} is still {error.state} after {timeout_seconds:g} s; `rowlock why {made.id}` says why"
        ) from error
    if run.state != "succeeded" or not isinstance(run.result, dict):
        reason = run.failed_with("reason") or "no reason recorded"
        raise Failed(f"{_TASK} is {run.state}: {reason}: {run.failed_with('message')}".rstrip(": "))
    return {"run": run.id, **run.result}
