"""`rowlock comments`: list and show; the words of a person stand in deciding.py."""

from dataclasses import asdict

import click

from rowlock_cli import show
from rowlock_cli.deciding import approve, post, reject
from rowlock_cli.figures import database_now
from rowlock_cli.monitored import (
    APPROVALS,
    SHORT_ID_CHARACTERS,
    STATUSES,
    check_installed,
    find_comment,
    list_comments,
)
from rowlock_cli.monitored_show import comment_text, comments_table
from rowlock_cli.session import cluster_options, ledger, output_option, process_named
from rowlock_cli.words import States, flat


@click.group("comments")
@cluster_options
def comments() -> None:
    """See and decide on AI comments."""


@comments.command("list")
@click.option("--process", help="Only of this MonitoringProcess ([NAMESPACE/]NAME).")
@click.option(
    "--status",
    "statuses",
    type=States(STATUSES),
    multiple=True,
    help="Only in these states: several with commas, or repeated.",
)
@click.option(
    "--approval",
    "approvals",
    type=States(APPROVALS),
    multiple=True,
    help="Only written ones on which this was said; waiting = a person is to.",
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
    process: str | None,
    statuses: tuple[tuple[str, ...], ...],
    approvals: tuple[tuple[str, ...], ...],
    limit: int,
    output: str,
) -> None:
    """List comments, the newest first.

    The table shows the beginning of each id, which all commands take; -o json shows the whole ones.
    """
    with ledger() as opened, opened.transaction() as cur:
        check_installed(cur)
        chosen = process_named(cur, process).id if process else None
        found = list_comments(
            cur, process_id=chosen, statuses=flat(statuses), approvals=flat(approvals), limit=limit
        )
        now = database_now(cur)
    if output == "json":
        click.echo(
            show.to_json(
                [{**asdict(comment), "short_id": comment.id[:SHORT_ID_CHARACTERS]} for comment in found]
            )
        )
    else:
        click.echo(comments_table(found, now) if found else "No comments match.")


@comments.command("show")
@click.argument("comment")
@output_option
@cluster_options
def show_command(comment: str, output: str) -> None:
    """Show a comment, its article shortened, and what it cost.

    COMMENT is an id, or the beginning of one.
    """
    with ledger() as opened, opened.transaction() as cur:
        check_installed(cur)
        found = find_comment(cur, comment)
        now = database_now(cur)
    click.echo(show.to_json(asdict(found)) if output == "json" else comment_text(found, now))


for _command in (approve, reject, post):
    comments.add_command(_command)
