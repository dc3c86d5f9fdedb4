"""`rowlock info`: what is installed, and what it has in hand."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_cli.terminal.tables import table
from rowlock_client.health import ledger_sentence
from rowlock_client.queries import may_read_tables
from rowlock_client.stats import (
    QueueStats,
    SourceStats,
    Versions,
    queue_stats,
    runners,
    source_stats,
    versions,
)
from rowlock_client.text import age

ONLY_THE_VIEW = (
    "This login may read only the view rowlock.run: modes, limits, sources, leases and the ledger's version"
    " are not shown."
)


@click.command("info")
@output_option
@cluster_options
def info(output: str) -> None:
    """Show versions, queues, sources, workers alive."""
    with ledger_client() as client, client.transaction() as cursor:
        readable = may_read_tables(cursor)
        known = versions(cursor)
        queues = queue_stats(cursor, readable=readable)
        sources = source_stats(cursor) if readable else None
        alive = runners(cursor)[0] if readable else None
    if output == "json":
        facts = {**asdict(known), "runners_alive": alive}
        click.echo(
            to_json(
                {
                    **facts,
                    "queues": [asdict(q) for q in queues],
                    "sources": sources and [asdict(s) for s in sources],
                }
            )
        )
        return
    click.echo("\n".join(describe(known, alive)))
    click.echo(
        "\n"
        + (
            queues_table(queues)
            if queues
            else "No queue is known yet: create a WorkQueue, and look at its condition Ready."
        )
    )
    if sources:
        click.echo("\n" + sources_table(sources))
    if not readable:
        click.echo("\n" + ONLY_THE_VIEW)


def describe(known: Versions, alive: int | None) -> list[str]:
    """The head of `rowlock info`, in sentences. Pure."""
    at = f" on {known.address}" if known.address else ""
    lines = [
        f"This command is Rowlock {known.command}.",
        f"The database is {known.database}{at}, PostgreSQL {known.postgresql}, seen as {known.login}.",
        *([ledger_sentence(known)] if known.applied is not None else []),
    ]
    if alive is not None:
        lines.append(f"{alive} {'worker holds' if alive == 1 else 'workers hold'} a lease now.")
    return lines


def queues_table(queues: Sequence[QueueStats]) -> str:
    lines = [
        [
            q.queue,
            q.mode or "?",
            "deleted" if q.deleted else {True: "yes", False: "no", None: "?"}[q.suspended],
            str(q.waiting),
            or_unknown(q.blocked),
            str(q.claimed),
            str(q.running),
            "-" if q.oldest_seconds is None else age(q.oldest_seconds),
            str(q.dead),
        ]
        for q in queues
    ]
    return table(
        ["QUEUE", "MODE", "SUSPENDED", "WAITING", "BLOCKED", "CLAIMED", "RUNNING", "OLDEST", "DEAD"], lines
    )


def sources_table(sources: Sequence[SourceStats]) -> str:
    lines = [
        [
            s.source,
            s.queue or "-",
            s.source_table or "-",
            s.task or "-",
            *map(str, (s.waiting, s.running, s.done, s.failed)),
        ]
        for s in sources
    ]
    return table(["SOURCE", "QUEUE", "TABLE", "TASK", "WAITING", "RUNNING", "DONE", "FAILED"], lines)


def or_unknown(count: int | None) -> str:
    return "?" if count is None else str(count)
