"""`rowlock comments post`."""

from collections.abc import Sequence
from typing import Any

import click

from rowlock_cli.commands.comments.decision import (
    BY_PROCESS,
    NOT_YET,
    check_name,
    chosen_comments,
    comments_word,
    who_says,
)
from rowlock_cli.commands.runs.report import report
from rowlock_cli.confirm import agree, check_asking
from rowlock_cli.context import ledger_client
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_json
from rowlock_client import Cursor
from rowlock_client.monitoring import Comment, PostingRun, check_installed, post_comments, posting_runs
from rowlock_client.operations import requeue


@click.command(
    "post",
    epilog=(
        "Exit codes: 0 all will be posted, 1 some were left or not found, or the answer was no, 2 wrong"
        " usage."
    ),
)
@click.argument("comments", nargs=-1, required=True, metavar="COMMENT...")
@click.option(
    "--by",
    metavar="NAME",
    callback=check_name,
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
    name, more = who_says(by)
    with ledger_client(ask=None if yes or dry_run else _ask_again, more=more) as client:
        with client.transaction() as cursor:
            check_installed(cursor)
            chosen = chosen_comments(cursor, comments)
            found = _posting_runs(cursor, chosen)
        left = {one.id: why for one in chosen if (why := _why_not_posted(one, found.get(one.id)))}
        runs = {comment_id: run.run_id for comment_id, run in found.items()}
        going = [one for one in chosen if one.id not in left]
        again = [{"id": one.id, "status": one.status} for one in going if one.status != "generated"]
        facts = {
            "verb": "post",
            "post": [one.id for one in going],
            "again": again,
            "left": list(left.values()),
        }
        if dry_run:
            click.echo(to_json(facts) if output == "json" else "\n".join(_plan(facts)))
            return
        if not yes:
            _ask_again(facts)
        with client.transaction() as cursor:
            marked = post_comments(cursor, [one.id for one in going], name)
            requeued = requeue(cursor, [runs[one.id] for one in going if one.id in runs and one.id in marked])
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
    lines = [f"{new} {comments_word(new)} would be approved and posted."] if new else []
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


def _why_not_posted(comment: Comment, run: PostingRun | None) -> str:
    """Empty where it can be posted by hand. Pure."""
    if comment.status in ("unknown", "failed") and not comment.comment_content:
        return (
            f"{comment.id} failed before its text was written; `rowlock runs --key {comment.id}` shows its"
            " runs, `rowlock requeue RUN` repeats one"
        )
    if run is not None and run.state not in ("dead", "unknown"):
        return f"{comment.id} is tried again already: its run {run.run_id} is {run.state}"
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
    return f"{comment.id} {NOT_YET[comment.status]}"


def _posting_runs(cursor: Cursor, comments: Sequence[Comment]) -> dict[str, PostingRun]:
    """Comment to the run that posts it, or that ended badly."""
    ended = [one for one in comments if one.status in ("unknown", "failed")]
    found: dict[str, PostingRun] = {}
    for namespace in {one.namespace for one in ended if one.namespace}:
        ids = [one.id for one in ended if one.namespace == namespace]
        found |= {run.comment_id: run for run in posting_runs(cursor, namespace, ids)}
    return found
