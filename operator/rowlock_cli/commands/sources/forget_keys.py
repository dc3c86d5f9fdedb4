"""`rowlock forget-keys`: rows of a source without a status column that shall run again. Asks first."""

from typing import Any

import click

from rowlock_cli.confirm import agree, check_asking
from rowlock_cli.context import ledger_client, namespace_option
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client import operations
from rowlock_client.names import find_source
from rowlock_client.queries import database_now


@click.command(
    "forget-keys",
    epilog="Exit codes: 0 done or nothing to do, 1 not found, failed or the answer was no, 2 wrong usage.",
)
@click.argument("source")
@click.option("--key", "keys", multiple=True, help="The key of one row. May be repeated.")
@click.option(
    "--all", "everything", is_flag=True, help="All keys of the source, such as after its table was truncated."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@output_option
@cluster_options
def forget_keys(
    source: str, keys: tuple[str, ...], everything: bool, yes: bool, dry_run: bool, output: str
) -> None:
    """Forget that rows of SOURCE were taken; asks first.

    SOURCE is a RowSource without a status column (namespace/name, or the name where it is unique): what it
    took is remembered by key alone. Rows whose key is forgotten are taken again where they fulfil
    spec.pending; a run of such a row that is under way is left alone.
    """
    if bool(keys) == everything:
        raise click.UsageError("name the rows by --key, or say --all")
    check_asking(yes=yes, dry_run=dry_run, output=output)
    chosen = list(keys) or None
    with ledger_client(ask=None if yes or dry_run else _ask) as client:
        with client.transaction() as cursor:
            full = find_source(cursor, source, namespace=namespace_option())
            known, before = operations.remembered_keys(cursor, full, chosen), database_now(cursor)
        facts: dict[str, Any] = {
            "source": full,
            "source_table": known.source_table,
            "keys": chosen,
            "remembered": int(known.remembered),
        }
        if dry_run:
            text = _would(facts) if facts["remembered"] else _nothing(facts)
            click.echo(to_json(facts) if output == "json" else text)
            return
        if not yes:
            _ask(facts)
        forgotten = operations.forget_keys(client, full, chosen, before=before)
    if output == "json":
        click.echo(to_json({**facts, "forgotten": forgotten}))
    elif forgotten:
        click.echo(f"{_counted(forgotten)} of {full} {'was' if forgotten == 1 else 'were'} forgotten.")
    else:
        click.echo(_nothing(facts))


def _ask(facts: dict[str, Any]) -> None:
    if not facts["remembered"]:
        click.echo(_nothing(facts))
        raise click.exceptions.Exit(0)
    agree(_would(facts))


def _would(facts: dict[str, Any]) -> str:
    return (
        f"{_counted(facts['remembered'])} of {facts['source']} (table {facts['source_table']}) would be"
        f" forgotten: rows with {'this key' if facts['remembered'] == 1 else 'these keys'} that fulfil"
        " spec.pending run again."
    )


def _nothing(facts: dict[str, Any]) -> str:
    which = "none of these keys" if facts["keys"] else "no key"
    return f"{facts['source']} remembers {which} of table {facts['source_table']}: nothing to forget."


def _counted(count: int) -> str:
    return f"{count:,} remembered {'key' if count == 1 else 'keys'}"
