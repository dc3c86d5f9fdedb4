"""post_comments_for_process: one approved comment onto the site, once."""

import time
from typing import Any

from rowlock_jobs.task import InputError, Run, SoftTimeLimit, TaskError, task
from rowlock_jobs.work.monitoring.access import site_session
from rowlock_jobs.work.monitoring.records import CommentRow, Process
from rowlock_jobs.work.monitoring.store import ask, execute, login_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import (
    optional_uuid,
    put_back,
    row_of,
    uuid_argument,
    whole_process,
)
from rowlock_web.capabilities.comments import Comments, DisclosedText
from rowlock_web.capabilities.offered import Site, offered
from rowlock_web.errors import PostUnknown
from rowlock_web.logins.session import SiteSession
from rowlock_web.pace.gate import Stopped

LOOK_AFTER_SECONDS = 2.0


@task("post_comments_for_process")
def post_comments_for_process(run: Run) -> dict[str, Any]:
    """One comment (`comment_id`); with `process_id` alone, what is approved is handed to the source that
    posts.

    Before the POST: approved still? By the process: does it run, may it post? Tried before: is it there
    already? Then begin_effect.
    """
    if optional_uuid(run, "comment_id") is None:
        return whole_process(run, uuid_argument(run, "process_id"))
    row, why = row_of(run, "posting", "generated", "failed", "unknown")
    if row is None:
        return {"skipped": why}
    process = process_of(run, row.process_id)
    by_hand = row.approved_by != "process"
    refusal = _refusal(process, row, by_hand)
    if refusal is not None:
        if (
            refusal == "GenerateOnly"
        ):  # changed while it ran: approved no more, or its source would take it again and again
            ask(run, "withdraw", comment_id=row.id)
        raise put_back(refusal)
    if row.login_id is None or not row.comment:
        raise InputError(
            "LoginGone" if row.comment else "NoComment", "the row has no login or no comment any more"
        )
    text = DisclosedText(row.comment, process.prefix)
    try:
        with site_session(run, process, login_of(run, row.login_id), by_hand=by_hand) as session:
            comment_id, found = _posted(run, process, row, text, session)
    except Stopped as stopped:
        raise put_back(stopped.reason) from None
    with run.transaction() as cur:
        execute(cur, "posted", comment_id=row.id, comment_id_at_site=comment_id)
        execute(cur, "active", process_id=process.id)
    return {"comment_id": comment_id, "found_on_the_page": found}


def _comments(site: Site) -> Comments:
    return offered(
        site.comments, "comments", "set generateOnly, or use the driver of a site that takes comments"
    )


def _refusal(process: Process, row: CommentRow, by_hand: bool) -> str | None:
    if row.approval != "approved":
        return "NotApproved"
    if by_hand:
        return None  # a person's word; the process may have ended
    if not process.running:
        return "NotRunning"
    return "GenerateOnly" if process.generate_only else None


def _posted(
    run: Run, process: Process, row: CommentRow, text: DisclosedText, session: SiteSession
) -> tuple[str | None, bool]:
    """(the comment's id at the site, whether it was there already). Raises as the site does, with the
    effect ended unless nobody knows.
    """

    def look() -> str | None:
        return session.do(lambda site: _comments(site).find_comment(row.article_id, text.text))

    if row.posting_started:
        there = look()  # an earlier attempt may have posted it
        if there is not None:
            return there, True
    ask(run, "posting_begins", comment_id=row.id)
    if not run.begin_effect(f"comment on article {row.article_id}"):
        raise put_back("this attempt is over")
    try:
        receipt = session.do(
            lambda site: _comments(site).comment(row.article_id, text, hidden=process.hide_comments)
        )
    except SoftTimeLimit:
        # it may have struck in the middle of the POST: the effect stays begun, and the run ends as unknown
        raise
    except PostUnknown as unknown:
        found = _found_later(run, look)
        if found is None:
            raise unknown from None  # the effect stays begun: the run ends as unknown and is never repeated
        return found, True
    except (TaskError, Stopped):
        run.end_effect()  # surely not posted: retries are allowed again
        raise
    return receipt.comment_id, False


def _found_later(run: Run, look: Any) -> str | None:
    """Where the answer of the POST was lost: the site may need a moment. None = not seen, which proves
    nothing.
    """
    for _ in range(2):
        time.sleep(LOOK_AFTER_SECONDS)
        try:
            found: str | None = look()
        except (TaskError, Stopped):
            return None
        if found is not None:
            return found
    return None
