"""`rowlock credentials reencrypt`."""

from typing import Any

import click

from rowlock_cli.commands.credentials.task import QUEUE, run_task, timeout_option
from rowlock_cli.context import ledger_client, queue_named
from rowlock_cli.errors import Failed
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client.monitoring import check_installed


@click.command(
    "reencrypt",
    epilog="Exit codes: 0 done, 1 failed, or something is opened by no key, 2 wrong usage.",
)
@click.option("--check", is_flag=True, help="Only count what each key opens.")
@timeout_option("Give up waiting for the task after so long; it goes on.")
@output_option
@cluster_options
def reencrypt(check: bool, timeout_seconds: float, output: str) -> None:
    """Encrypt what is stored anew, with the first key.

    Step 3 of `rowlock credentials rotate` alone, for keys that something else keeps (a Git repository, an
    external store).
    """
    with ledger_client() as client:
        with client.transaction() as cursor:
            check_installed(cursor)
            queue = queue_named(cursor, QUEUE)
        result = run_task(client, queue, timeout_seconds, check=check)
    if output == "json":
        click.echo(to_json(result))
    elif check:
        click.echo("\n".join(_opened_lines(result)))
    else:
        click.echo(
            f"{result['encrypted_anew']} of {result['looked_at']} stored values were encrypted anew with the"
            f" key {result['key']}."
        )
    if result["unreadable"] and output == "json":
        raise click.exceptions.Exit(1)
    if result["unreadable"]:
        raise Failed(
            f"{result['unreadable']} stored values are opened by none of the keys: bring back the key, or"
            " change the Secrets of their logins"
        )


def _opened_lines(result: dict[str, Any]) -> list[str]:
    opened = result.get("opened_by") or {}
    return [f"{key} opens {count} of {result['looked_at']}" for key, count in opened.items()] + [
        f"no key opens {result['unreadable']}"
    ]
