"""Many runs of a queue at once: counts, asks, then works in batches."""

from datetime import datetime
from typing import Any

import click

from rowlock_cli.confirm import agree
from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.param_types import ago
from rowlock_client import Client, operations
from rowlock_client.queries import database_now
from rowlock_client.text import age

WAITING = ("pending", "queued", "launching")
_PAST = {"delete": "deleted", "cancel": "canceled"}


def clear(
    verb: str,
    queue: str,
    states: tuple[str, ...],
    *,
    older_seconds: float,
    reason: str,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Deletes or cancels (`verb`) the runs of a queue that are in these states for so long, once that is
    agreed. What was made or ended after the count stays. Raises Failed where the answer is not yes.
    """
    with ledger_client(ask=None if yes or dry_run else ask) as client:
        with client.transaction() as cursor:
            full = queue_named(cursor, queue)
            before = ago(database_now(cursor), older_seconds)
            count = operations.count_runs(cursor, full, states, before=before)
        facts: dict[str, Any] = {
            "verb": verb,
            "queue": full,
            "states": states,
            "what": "waiting" if states == WAITING else " or ".join(states),
            "age": f" older than {age(older_seconds)}" if older_seconds else "",
            "count": count,
        }
        if dry_run:
            click.echo(to_json(facts) if output == "json" else would(facts) if count else nothing(facts))
            return
        if not yes:
            ask(facts)
        done = _do(client, verb, full, states, before, reason)
        with client.transaction() as cursor:
            left = operations.count_runs(cursor, full, states, before=before)
    if output == "json":
        click.echo(to_json({**facts, "done": done, "left": left}))
        return
    click.echo(
        f"{done:,} {facts['what']} {'run' if done == 1 else 'runs'} of {full}"
        f" {'were' if done != 1 else 'was'} {_PAST[verb]}."
    )
    if left:
        click.echo(
            f"{left:,} matched still when this ended (the operator held them that moment): run this again for"
            " them.",
            err=True,
        )


def _do(client: Client, verb: str, queue: str, states: tuple[str, ...], before: datetime, reason: str) -> int:
    if verb == "cancel":
        return operations.cancel_waiting(client, queue, states, before=before, reason=reason)
    return operations.delete_ended(client, queue, states, before=before)


def ask(facts: dict[str, Any]) -> None:
    """Says what would happen and asks. Ends the command (exit code 0) where there is nothing to do; Failed
    where the answer is not yes.
    """
    if not facts["count"]:
        click.echo(nothing(facts))
        raise click.exceptions.Exit(0)
    agree(would(facts))


def would(facts: dict[str, Any]) -> str:
    """What is going to happen, as a sentence. Pure."""
    count = facts["count"]
    which = f"{count:,} {facts['what']} {'run' if count == 1 else 'runs'} of {facts['queue']}{facts['age']}"
    if facts["verb"] == "delete":
        return (
            f"{which} would be deleted with {'its' if count == 1 else 'their'} arguments and results; deleted"
            " runs cannot be requeued."
        )
    return f"{which} would be canceled; canceled runs can be requeued."


def nothing(facts: dict[str, Any]) -> str:
    """Nothing matched, as a sentence. Pure."""
    return f"{facts['queue']} has no {facts['what']} run{facts['age']}: nothing to {facts['verb']}."
