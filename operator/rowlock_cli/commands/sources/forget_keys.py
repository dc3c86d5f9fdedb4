"""`rowlock forget-keys`: rows of a source without a status column that shall run again. Asks first."""

from typing import Any

import click

from rowlock_cli import show
from rowlock_cli.asking import agree, check_asking
from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed
from rowlock_cli.figures import database_now
from rowlock_cli.runs import find_source, rows
from rowlock_cli.session import NAMESPACE, cluster_options, ledger, output_option

_BATCH = 10_000


@click.command("forget-keys")
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
    with ledger(ask=None if yes or dry_run else _ask) as opened:
        with opened.transaction() as cur:
            full = find_source(cur, source, namespace=click.get_current_context().meta.get(NAMESPACE))
            facts, before = _facts(cur, full, list(keys) or None), database_now(cur)
        if dry_run:
            click.echo(
                show.to_json(facts)
                if output == "json"
                else _would(facts)
                if facts["remembered"]
                else _nothing(facts)
            )
            return
        if not yes:
            _ask(facts)
        forgotten = 0
        while True:
            with opened.transaction() as cur:
                cur.execute(
                    sql("forget_keys"),
                    {"source": full, "keys": facts["keys"], "before": before, "limit": _BATCH},
                )
                count = int(cur.fetchall()[0][0])
            forgotten += count
            if count < _BATCH:
                break
    if output == "json":
        click.echo(show.to_json({**facts, "forgotten": forgotten}))
    elif forgotten:
        click.echo(f"{_counted(forgotten)} of {full} {'was' if forgotten == 1 else 'were'} forgotten.")
    else:
        click.echo(_nothing(facts))


def _facts(cur: Cursor, source: str, keys: list[str] | None) -> dict[str, Any]:
    cur.execute(sql("remembered_keys"), {"source": source, "keys": keys})
    (found,) = rows(cur)
    if found["has_status_column"] and not found["remembered"]:
        raise Failed(
            f"{source} has a status column, so it remembers no keys: to run a row of {found['source_table']}"
            " again, set its status back in the table"
        )
    return {
        "source": source,
        "source_table": found["source_table"],
        "keys": keys,
        "remembered": int(found["remembered"]),
    }


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
