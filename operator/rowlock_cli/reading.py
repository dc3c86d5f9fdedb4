"""The commands that only look: runs, why, dead-letters."""

from dataclasses import asdict
from datetime import datetime

import click

from rowlock_cli import show
from rowlock_cli.connection import Cursor, sql
from rowlock_cli.explain import explain
from rowlock_cli.runs import STATES, find_queue, list_runs, rows
from rowlock_cli.session import cluster_options, ledger, output_option
from rowlock_cli.why import gather


@click.command("runs")
@click.option("--queue", help="Only of this work queue (namespace/name, or the name where it is unique).")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only in this state; may be repeated.")
@click.option("--source", help="Only of this RowSource (namespace/name, or the name).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many, the newest.")
@output_option
@cluster_options
def list_command(queue: str | None, states: tuple[str, ...], source: str | None, limit: int, output: str) -> None:
    """List runs, the newest first."""
    with ledger() as opened, opened.transaction() as cur:
        full = find_queue(cur, queue) if queue else None
        found = list_runs(cur, limit=limit, queue=full, states=states, source=source)
        if output == "json":
            click.echo(show.as_json(found))
        else:
            click.echo(show.runs_table(found, _now(cur)) if found else "No runs match.")


@click.command("dead-letters")
@click.option("--queue", help="Only of this work queue.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many, the newest.")
@output_option
@cluster_options
def dead_letters(queue: str | None, limit: int, output: str) -> None:
    """List runs that wait for a person: dead, and unknown."""
    with ledger() as opened, opened.transaction() as cur:
        found = list_runs(cur, limit=limit, queue=find_queue(cur, queue) if queue else None, states=("dead", "unknown"))
        if output == "json":
            click.echo(show.as_json(found))
        else:
            click.echo(show.dead_letters_table(found, _now(cur)) if found else "Nothing is dead or unknown.")


@click.command("why")
@click.argument("run")
@output_option
@cluster_options
def why(run: str, output: str) -> None:
    """Say why a run is where it is. RUN is an id, or the beginning of one."""
    with ledger() as opened, opened.transaction() as cur:
        facts = gather(cur, run)
    sentences = explain(facts)
    click.echo(show.to_json({**asdict(facts), "why": sentences}) if output == "json" else "\n".join(sentences))


def _now(cur: Cursor) -> datetime:
    cur.execute(sql("now"))
    moment: datetime = rows(cur)[0]["clock_timestamp"]
    return moment
