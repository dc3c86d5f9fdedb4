"""`rowlock comments approve`, `reject` and `post`: a person's word on what a model wrote."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from rowlock_cli import show
from rowlock_cli.asking import agree, check_asking
from rowlock_cli.changing import report
from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed
from rowlock_cli.figures import database_now
from rowlock_cli.monitored import Comment, check_installed, find_comment
from rowlock_cli.runs import rows
from rowlock_cli.session import cluster_options, ledger, output_option, process_named

BY_PROCESS = "process"
"""What the database writes where a process approves its own comments; no person is called so."""


@dataclass(frozen=True)
class _PostingRun:
    id: str
    state: str


def _name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (not value.strip() or value == BY_PROCESS):
        raise click.BadParameter(
            f"say who you are: not empty, and not {BY_PROCESS!r}, which stands for the process itself"
        )
    return value


def _decision(command: Any) -> Any:
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
            callback=_name,
            help="Who says so; by default the name of your account on this machine.",
        ),
        click.option("--yes", is_flag=True, help="With --all: do not ask."),
        click.option("--dry-run", is_flag=True, help="With --all: only say how many there are."),
        click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S.%f%z"]), hidden=True),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("approve")
@_decision
@output_option
@cluster_options
def approve(**given: Any) -> None:
    """Approve comments: they are posted, also after their process has ended.

    COMMENT is an id, or the beginning of one. Only written ones can be approved.
    """
    _decide("approved", **given)


@click.command("reject")
@_decision
@output_option
@cluster_options
def reject(**given: Any) -> None:
    """Reject comments: they are not posted.

    COMMENT is an id, or the beginning of one. What was rejected can be approved later, and the other way
    round until it is being posted.
    """
    _decide("rejected", **given)


def _decide(
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
    if bool(comments) == everything or everything != bool(process):
        raise click.UsageError("name the comments, or say --process NAME --all")
    if everything:
        check_asking(yes=yes, dry_run=dry_run, output=output)
    elif yes or dry_run:
        raise click.UsageError(
            "--yes and --dry-run belong to --all: comments that are named are decided on without a question"
        )
    name, more = _who(by)
    if not everything:
        with ledger(more=more) as opened, opened.transaction() as cur:
            check_installed(cur)
            chosen = _chosen(cur, comments)
            gone = set(_ids(cur, "comments_decide", ids=[one.id for one in chosen], approval=word, by=name))
        told = [(one.id, f"{one.id} is {word}") for one in chosen if one.id in gone]
        report(word, told, [_why_not(one, word) for one in chosen if one.id not in gone], output)
        return
    with ledger(ask=None if yes or dry_run else _ask_all, more=more) as opened:
        with opened.transaction() as cur:
            check_installed(cur)
            full = process_named(cur, str(process))
            # What is written while the question is read was not part of it.
            moment = until or database_now(cur)
            waiting = _ids(cur, "comments_waiting", process=full.id, until=moment)
        facts = {
            "verb": word,
            "process": full.full,
            "count": len(waiting),
            "until": moment.isoformat(timespec="microseconds"),
        }
        if dry_run:
            click.echo(
                show.to_json(facts) if output == "json" else _would(facts) if waiting else _nothing(facts)
            )
            return
        if not yes:
            _ask_all(facts)
        with opened.transaction() as cur:
            done = len(_ids(cur, "comments_decide", ids=waiting, approval=word, by=name))
    if output == "json":
        click.echo(show.to_json({**facts, "done": done}))
    else:
        click.echo(
            f"{done:,} {_comments(done)} of {full.full} {'is' if done == 1 else 'are'} {word}."
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
    return f"{count:,} {_comments(count)} of {facts['process']} would be {what}."


def _nothing(facts: dict[str, Any]) -> str:
    return f"{facts['process']} has no comment that waits for approval: nothing to be {facts['verb']}."


def _comments(count: int) -> str:
    return "comment" if count == 1 else "comments"


@click.command("post")
@click.argument("comments", nargs=-1, required=True, metavar="COMMENT...")
@click.option(
    "--by",
    metavar="NAME",
    callback=_name,
    help="Who says so; by default the name of your account on this machine.",
)
@click.option("--yes", is_flag=True, help="Do not ask about unknown and failed ones.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@output_option
@cluster_options
def post(comments: tuple[str, ...], by: str | None, yes: bool, dry_run: bool, output: str) -> None:
    """Post comments by hand, whether their process runs or not.

    COMMENT is an id, or the beginning of one. Written ones are approved, rejected ones too. Asks first about
    those whose posting failed, or of which nobody knows whether it succeeded: their run is requeued, and its
    task looks for the comment at the article before it posts again.
    """
    check_asking(yes=yes, dry_run=dry_run, output=output)
    name, more = _who(by)
    with ledger(ask=None if yes or dry_run else _ask_again, more=more) as opened:
        with opened.transaction() as cur:
            check_installed(cur)
            chosen = _chosen(cur, comments)
            found = _posting_runs(cur, chosen)
        left = {one.id: why for one in chosen if (why := _why_not_posted(one, found.get(one.id)))}
        runs = {comment_id: run.id for comment_id, run in found.items()}
        going = [one for one in chosen if one.id not in left]
        again = [{"id": one.id, "status": one.status} for one in going if one.status != "generated"]
        facts = {
            "verb": "post",
            "post": [one.id for one in going],
            "again": again,
            "left": list(left.values()),
        }
        if dry_run:
            click.echo(show.to_json(facts) if output == "json" else "\n".join(_plan(facts)))
            return
        if not yes:
            _ask_again(facts)
        with opened.transaction() as cur:
            marked = set(_ids(cur, "comments_post", ids=[one.id for one in going], by=name))
            requeued = set(
                _ids(
                    cur, "requeue", ids=[runs[one.id] for one in going if one.id in runs and one.id in marked]
                )
            )
    told = []
    for one in going:
        run = runs.get(one.id)
        if one.id not in marked or (run is not None and run not in requeued):
            left[one.id] = (
                f"{one.id} moved on just now; look at it with `rowlock comments show {one.short_id}`"
            )
        elif run is None:
            told.append((one.id, f"{one.id} is approved, and posted in its turn"))
        else:
            told.append((one.id, f"{one.id}: its run {run} is pending again"))
    report("posting", told, list(left.values()), output)


def _ask_again(facts: dict[str, Any]) -> None:
    if facts["again"]:
        agree("\n".join(_plan(facts)))


def _plan(facts: dict[str, Any]) -> list[str]:
    """What `post` is going to do, in sentences. Pure."""
    new, again = len(facts["post"]) - len(facts["again"]), facts["again"]
    lines = [f"{new} {_comments(new)} would be approved and posted."] if new else []
    for one in again:
        known = (
            "of which nobody knows whether it was posted"
            if one["status"] == "unknown"
            else "whose posting failed"
        )
        lines.append(
            f"{one['id']}, {known}, would be posted; its task looks for it at the article first, and posts it"
            " where it is not seen there."
        )
    return lines + [f"Left: {why}." for why in facts["left"]]


def _why_not_posted(comment: Comment, run: _PostingRun | None) -> str:
    """Empty where it can be posted by hand. Pure."""
    if comment.status in ("unknown", "failed") and not comment.comment_content:
        return (
            f"{comment.id} failed before its text was written; `rowlock runs --key {comment.id}` shows its"
            " runs, `rowlock requeue RUN` repeats one"
        )
    if run is not None and run.state not in ("dead", "unknown"):
        return f"{comment.id} is tried again already: its run {run.id} is {run.state}"
    if comment.status in ("unknown", "failed") and run is None:
        return (
            f"{comment.id} is {comment.status}, and its run is not kept any more; `rowlock enqueue"
            f" {comment.namespace}/comments post_comments_for_process --arg comment_id={comment.id} --key"
            f" post:{comment.id}` makes another one (approve it first)"
        )
    if comment.status in ("unknown", "failed"):
        return ""
    if comment.status == "generated":
        by_hand = comment.approval == "approved" and comment.approved_by != BY_PROCESS
        return (
            f"{comment.id} is approved by {comment.approved_by} already, and posted in its turn"
            if by_hand
            else ""
        )
    return f"{comment.id} {_NOT_YET[comment.status]}"


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
    return f"{comment.id} {_NOT_YET[comment.status]}"


_NOT_YET = {
    status: f"is {status}: its text is not written yet"
    for status in ("discovered", "preparing", "prepared", "generating")
} | {
    "generated": "was decided on by somebody else just now",
    "posting": "is being posted this moment",
    "posted": "is posted already",
    "deleted": "is deleted",
}


def _who(by: str | None) -> tuple[str, Sequence[str]]:
    """The name, and the words that take it into the operator's pod, where everybody would be the same one."""
    if by is not None:
        return by, ()
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        raise Failed("your account on this machine has no name; say who you are with --by NAME") from None
    return name, ("--by", name)


def _chosen(cur: Cursor, beginnings: Sequence[str]) -> list[Comment]:
    """Each once, in the order they were typed."""
    return list(
        {found.id: found for found in (find_comment(cur, beginning) for beginning in beginnings)}.values()
    )


def _posting_runs(cur: Cursor, comments: Sequence[Comment]) -> dict[str, _PostingRun]:
    """Comment to the run that posts it, or that ended badly."""
    found: dict[str, _PostingRun] = {}
    for namespace in {
        one.namespace for one in comments if one.namespace and one.status in ("unknown", "failed")
    }:
        ids = [
            one.id for one in comments if one.namespace == namespace and one.status in ("unknown", "failed")
        ]
        cur.execute(
            sql("posting_runs"),
            {"queue": f"{namespace}/comments", "source": f"{namespace}/monitoring-posting", "ids": ids},
        )
        found |= {row["comment_id"]: _PostingRun(row["run_id"], row["state"]) for row in rows(cur)}
    return found


def _ids(cur: Cursor, name: str, **values: Any) -> list[str]:
    cur.execute(sql(name), values)
    return [identity for (identity,) in cur.fetchall()]
