"""Clearing up a queue: `rowlock purge`, and `rowlock cancel --all-waiting`. Both ask first."""

from datetime import datetime
from typing import Any

import click

from rowlock_cli import show
from rowlock_cli.asking import ask, check_asking, nothing, would
from rowlock_cli.connection import Cursor, Ledger, sql
from rowlock_cli.figures import database_now
from rowlock_cli.session import cluster_options, ledger, output_option, queue_named
from rowlock_cli.words import Duration, States, ago, flat

WAITING = ("pending", "queued", "launching")
_PURGED = ("dead", "unknown", "canceled", "succeeded", "pending")
_BATCH = {"purge": 5_000, "cancel": 500}


@click.command("purge")
@click.option("--queue", required=True, help="Of this work queue.")
@click.option(
    "--state",
    "states",
    type=States(_PURGED),
    multiple=True,
    default=("dead",),
    show_default="dead",
    help=(
        "Runs in these states: several with commas, or repeated. Pending ones are canceled instead of"
        " deleted, and stand alone."
    ),
)
@click.option(
    "--older-than",
    "older_seconds",
    type=Duration(),
    default="0s",
    metavar="7d",
    help="Only those that ended (pending: were made) so long ago.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@output_option
@cluster_options
def purge(
    queue: str,
    states: tuple[tuple[str, ...], ...],
    older_seconds: float,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Delete ended runs for good; asks first.

    The operator deletes them by itself once they are past the history of the WorkQueue. A row that was taken
    once is not taken again by this.
    """
    chosen = flat(states)
    if "pending" in chosen and len(chosen) > 1:
        raise click.UsageError("--state pending cancels, the other states delete: say one after the other")
    check_asking(yes=yes, dry_run=dry_run, output=output)
    verb = "cancel" if chosen == ("pending",) else "purge"
    clear(
        verb,
        queue,
        chosen,
        older_seconds=older_seconds,
        reason="Purged",
        yes=yes,
        dry_run=dry_run,
        output=output,
    )


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
    """Counts, asks, then works in batches. What was made or ended after the count stays. Failed where the
    answer is not yes.
    """
    with ledger(ask=None if yes or dry_run else ask) as opened:
        with opened.transaction() as cur:
            full = queue_named(cur, queue)
            before = ago(database_now(cur), older_seconds)
            count = _count(cur, full, states, before)
        facts: dict[str, Any] = {
            "verb": verb,
            "queue": full,
            "states": states,
            "what": "waiting" if states == WAITING else " or ".join(states),
            "age": f" older than {show.age(older_seconds)}" if older_seconds else "",
            "count": count,
        }
        if dry_run:
            click.echo(show.to_json(facts) if output == "json" else would(facts) if count else nothing(facts))
            return
        if not yes:
            ask(facts)
        done = _in_batches(
            opened, verb, {"queue": full, "states": list(states), "before": before, "reason": reason}
        )
        with opened.transaction() as cur:
            left = _count(cur, full, states, before)
    if output == "json":
        click.echo(show.to_json({**facts, "done": done, "left": left}))
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


_PAST = {"purge": "deleted", "cancel": "canceled"}


def _count(cur: Cursor, queue: str, states: tuple[str, ...], before: datetime) -> int:
    cur.execute(sql("count_runs"), {"queue": queue, "states": list(states), "before": before})
    return int(cur.fetchall()[0][0])


def _in_batches(opened: Ledger, verb: str, values: dict[str, Any]) -> int:
    done, limit = 0, _BATCH[verb]
    while True:
        with opened.transaction() as cur:
            cur.execute(sql("purge" if verb == "purge" else "cancel_waiting"), {**values, "limit": limit})
            count = int(cur.fetchall()[0][0])
        done += count
        if count < limit:
            return done
