"""The commands that look at runs: runs, why, dead-letters."""

from dataclasses import asdict
from datetime import datetime

import click

from rowlock_cli import show
from rowlock_cli.explain import Facts, explain
from rowlock_cli.explain_queue import QueueFacts, explain_queue
from rowlock_cli.figures import database_now, queues_gone
from rowlock_cli.runs import list_runs
from rowlock_cli.session import cluster_options, ledger, output_option, queue_named
from rowlock_cli.why import gather, gather_queue, gather_row
from rowlock_cli.words import Since, States, ago, first_id_since, flat


@click.command("runs")
@click.option("--queue", help="Only of this work queue (namespace/name, or the name where it is unique).")
@click.option(
    "--state",
    "states",
    type=States(),
    multiple=True,
    help="Only in these states: several with commas, or repeated.",
)
@click.option("--source", help="Only of this RowSource (namespace/name, or the name).")
@click.option("--task", help="Only of this task.")
@click.option("--key", help="Only of this key (a row's key, or the one given to enqueue).")
@click.option(
    "--since",
    type=Since(),
    metavar="10m|MOMENT",
    help="Only made since: so long ago, or an ISO 8601 moment with a time zone.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many, the newest.",
)
@output_option
@cluster_options
def list_command(
    queue: str | None,
    states: tuple[tuple[str, ...], ...],
    source: str | None,
    task: str | None,
    key: str | None,
    since: float | datetime | None,
    limit: int,
    output: str,
) -> None:
    """List runs, the newest first."""
    with ledger() as opened, opened.transaction() as cur:
        full = queue_named(cur, queue) if queue else None
        now = database_now(cur)
        start = ago(now, since) if isinstance(since, float) else since
        found = list_runs(
            cur, limit=limit, queue=full, states=flat(states), source=source, task=task, key=key, since=start,
            bounds=(first_id_since(start), "f" * 32) if start else None,
        )  # fmt: skip
        gone = queues_gone(cur)
    if output == "json":
        click.echo(show.as_json(found))
    else:
        click.echo(show.runs_table(found, now, gone) if found else "No runs match.")


@click.command("dead-letters")
@click.option("--queue", help="Only of this work queue.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many, the newest.",
)
@output_option
@cluster_options
def dead_letters(queue: str | None, limit: int, output: str) -> None:
    """List runs that wait for a person: dead, and unknown."""
    with ledger() as opened, opened.transaction() as cur:
        found = list_runs(
            cur, limit=limit, queue=queue_named(cur, queue) if queue else None, states=("dead", "unknown")
        )
        if output == "json":
            click.echo(show.as_json(found))
        else:
            click.echo(
                show.dead_letters_table(found, database_now(cur)) if found else "Nothing is dead or unknown."
            )


@click.command("why")
@click.argument("words", nargs=-1, required=True, metavar="RUN | row SOURCE KEY | queue NAME")
@output_option
@cluster_options
def why(words: tuple[str, ...], output: str) -> None:
    """Say why a run, a row or a queue waits or moves.

    RUN is an id, or the beginning of one. SOURCE is a RowSource, KEY its row's key: the newest run of that
    row. NAME is a work queue. SOURCE and NAME are namespace/name, or the name where it is unique.
    """
    if len(words) != {"queue": 2, "row": 3}.get(words[0], 1):
        raise click.UsageError(
            "say `rowlock why RUN`, `rowlock why row SOURCE KEY` or `rowlock why queue NAME`"
        )
    with ledger() as opened, opened.transaction() as cur:
        if words[0] == "queue":
            facts: Facts | QueueFacts = gather_queue(cur, words[1])
        else:
            facts = gather_row(cur, *words[1:]) if words[0] == "row" else gather(cur, words[0])
    sentences = explain_queue(facts) if isinstance(facts, QueueFacts) else explain(facts)
    click.echo(
        show.to_json({**asdict(facts), "why": sentences}) if output == "json" else show.sentences(sentences)
    )
