"""What approve and reject share, and post in part: a person's word on what a model wrote."""

import getpass
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from rowlock_cli.commands.runs.report import report
from rowlock_cli.confirm import agree, check_asking
from rowlock_cli.context import ledger_client, process_named
from rowlock_cli.errors import Failed
from rowlock_cli.terminal.json_text import to_json
from rowlock_client import Cursor
from rowlock_client.monitoring import (
    Comment,
    check_installed,
    decide_comments,
    find_comment,
    waiting_comments,
)
from rowlock_client.queries import database_now

BY_PROCESS = "process"
"""What the database writes where a process approves its own comments; no person is called so."""


def check_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of --by: raises click.BadParameter for what is no person's name."""
    if value is not None and (not value.strip() or value == BY_PROCESS):
        raise click.BadParameter(
            f"say who you are: not empty, and not {BY_PROCESS!r}, which stands for the process itself"
        )
    return value


def decision_options(command: Any) -> Any:
    """What approve and reject share."""
    options = (
        click.argument("comments", nargs=-1, metavar="[COMMENT]..."),
        click.option("--process", help="With --all: of this MonitoringProcess ([NAMESPACE/]NAME)."),
        click.option(
            "--all",
            "everything",
            is_flag=True,
            help="All comments of the process that wait for approval; asks first.",
        ),
        click.option(
            "--by",
            metavar="NAME",
            callback=check_name,
            help="Who says so; by default the name of your account on this machine.",
        ),
        click.option("--yes", is_flag=True, help="With --all: do not ask."),
        click.option("--dry-run", is_flag=True, help="With --all: only say how many there are."),
        click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S.%f%z"]), hidden=True),
    )
    for option in reversed(options):
        command = option(command)
    return command


def decide(
    word: str,
    comments: tuple[str, ...],
    process: str | None,
    everything: bool,
    by: str | None,
    yes: bool,
    dry_run: bool,
    until: datetime | None,
    output: str,
) -> None:
    """Says `word` (approved or rejected) on the comments that were named, or on all of a process that wait.
    Raises click.UsageError, Failed.
    """
    if bool(comments) == everything or everything != bool(process):
        raise click.UsageError("name the comments, or say --process NAME --all")
    if everything:
        check_asking(yes=yes, dry_run=dry_run, output=output)
    elif yes or dry_run:
        raise click.UsageError(
            "--yes and --dry-run belong to --all: comments that are named are decided on without a question"
        )
    name, more = who_says(by)
    if not everything:
        with ledger_client(more=more) as client, client.transaction() as cursor:
            check_installed(cursor)
            chosen = chosen_comments(cursor, comments)
            gone = decide_comments(cursor, [one.id for one in chosen], word, name)
        told = [(one.id, f"{one.id} is {word}") for one in chosen if one.id in gone]
        report(word, told, [_why_not(one, word) for one in chosen if one.id not in gone], output)
        return
    with ledger_client(ask=None if yes or dry_run else _ask_all, more=more) as client:
        with client.transaction() as cursor:
            check_installed(cursor)
            full = process_named(cursor, str(process))
            # What is written while the question is read was not part of it.
            moment = until or database_now(cursor)
            waiting = waiting_comments(cursor, full.id, moment)
        facts = {
            "verb": word,
            "process": full.full,
            "count": len(waiting),
            "until": moment.isoformat(timespec="microseconds"),
        }
        if dry_run:
            click.echo(to_json(facts) if output == "json" else _would(facts) if waiting else _nothing(facts))
            return
        if not yes:
            _ask_all(facts)
        with client.transaction() as cursor:
            done = len(decide_comments(cursor, waiting, word, name))
    if output == "json":
        click.echo(to_json({**facts, "done": done}))
    else:
        click.echo(
            f"{done:,} {comments_word(done)} of {full.full} {'is' if done == 1 else 'are'} {word}."
            if waiting
            else _nothing(facts)
        )


def _ask_all(facts: dict[str, Any]) -> Sequence[str]:
    """The words by which the yes means what was counted, and nothing written since."""
    if not facts["count"]:
        click.echo(_nothing(facts))
        raise click.exceptions.Exit(0)
    agree(_would(facts))
    return ["--until", facts["until"]]


def _would(facts: dict[str, Any]) -> str:
    count = facts["count"]
    what = "approved and posted, one after the other" if facts["verb"] == "approved" else "rejected"
    return f"{count:,} {comments_word(count)} of {facts['process']} would be {what}."


def _nothing(facts: dict[str, Any]) -> str:
    return f"{facts['process']} has no comment that waits for approval: nothing to be {facts['verb']}."


def comments_word(count: int) -> str:
    """`comment` or `comments`."""
    return "comment" if count == 1 else "comments"


def _why_not(comment: Comment, word: str) -> str:
    """Why a decision changed nothing. Pure."""
    if comment.status == "generated" and comment.approval == word:
        return f"{comment.id} is {word} already"
    if comment.status in ("unknown", "failed"):
        again = (
            f"; `rowlock comments post {comment.short_id}` tries again"
            if word == "approved"
            else ", and not tried again by itself"
        )
        return f"{comment.id} is {comment.status}{again}"
    return f"{comment.id} {NOT_YET[comment.status]}"


NOT_YET = {
    status: f"is {status}: its text is not written yet"
    for status in ("discovered", "preparing", "prepared", "generating")
} | {
    "generated": "was decided on by somebody else just now",
    "posting": "is being posted this moment",
    "posted": "is posted already",
    "deleted": "is deleted",
}


def who_says(by: str | None) -> tuple[str, Sequence[str]]:
    """The name, and the words that take it into the operator's pod, where everybody would be the same one."""
    if by is not None:
        return by, ()
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        raise Failed("your account on this machine has no name; say who you are with --by NAME") from None
    return name, ("--by", name)


def chosen_comments(cursor: Cursor, beginnings: Sequence[str]) -> list[Comment]:
    """Each once, in the order they were typed."""
    return list(
        {found.id: found for found in (find_comment(cursor, beginning) for beginning in beginnings)}.values()
    )
