"""`rowlock why`."""

from dataclasses import asdict

import click

from rowlock_cli.context import ledger_client, namespace_option
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client.explain import (
    QueueFacts,
    RunFacts,
    explain_queue,
    explain_run,
    queue_facts,
    row_facts,
    run_facts,
)
from rowlock_client.text import sentences


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
    facts: RunFacts | QueueFacts
    with ledger_client() as client, client.transaction() as cursor:
        if words[0] == "queue":
            facts = queue_facts(cursor, words[1], namespace=namespace_option())
        elif words[0] == "row":
            facts = row_facts(cursor, *words[1:])
        else:
            facts = run_facts(cursor, words[0])
    told = explain_queue(facts) if isinstance(facts, QueueFacts) else explain_run(facts)
    click.echo(to_json({**asdict(facts), "why": told}) if output == "json" else sentences(told))
