"""`rowlock info`: what is installed, and what it has in hand."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from rowlock_cli import show
from rowlock_cli.figures import (
    QueueFigures,
    SourceFigures,
    Versions,
    queue_figures,
    runners,
    source_figures,
    versions,
)
from rowlock_cli.runs import may_read_tables
from rowlock_cli.session import cluster_options, ledger, output_option

ONLY_THE_VIEW = (
    "This login may read only the view rowlock.run: modes, limits, sources, leases and the ledger's version"
    " are not shown."
)


@click.command("info")
@output_option
@cluster_options
def info(output: str) -> None:
    """Show versions, queues, sources, workers alive."""
    with ledger() as opened, opened.transaction() as cur:
        readable = may_read_tables(cur)
        known = versions(cur)
        queues = queue_figures(cur, readable=readable)
        sources = source_figures(cur) if readable else None
        alive = runners(cur)[0] if readable else None
    if output == "json":
        facts = {**asdict(known), "runners_alive": alive}
        click.echo(
            show.to_json(
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


def ledger_sentence(known: Versions) -> str:
    """How the ledger's version compares with this command's. Pure; `known.applied` is not None."""
    latest = known.applied[-1] if known.applied else "none"
    if known.missing:
        return (
            f"The ledger is older than this command: it has {latest} and lacks {', '.join(known.missing)}; "
            "an operator of this version brings it up to date when it starts."
        )
    if known.newer:
        return (
            f"The ledger is newer than this command: it has {', '.join(known.newer)}, too; a newer command"
            " knows what that is for."
        )
    return f"The ledger has the version this command expects ({latest})."


def queues_table(queues: Sequence[QueueFigures]) -> str:
    lines = [
        [
            q.queue,
            q.mode or "?",
            "deleted" if q.deleted else {True: "yes", False: "no", None: "?"}[q.suspended],
            str(q.waiting),
            figure(q.blocked),
            str(q.claimed),
            str(q.running),
            "-" if q.oldest_seconds is None else show.age(q.oldest_seconds),
            str(q.dead),
        ]
        for q in queues
    ]
    return show.table(
        ["QUEUE", "MODE", "SUSPENDED", "WAITING", "BLOCKED", "CLAIMED", "RUNNING", "OLDEST", "DEAD"], lines
    )


def sources_table(sources: Sequence[SourceFigures]) -> str:
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
    return show.table(["SOURCE", "QUEUE", "TABLE", "TASK", "WAITING", "RUNNING", "DONE", "FAILED"], lines)


def figure(count: int | None) -> str:
    return "?" if count is None else str(count)
