"""Processes, logins and comments on a terminal. Pure."""

import textwrap
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from rowlock_cli.terminal.tables import table
from rowlock_client.monitoring import SHORT_ID_CHARACTERS, Comment, CommentLine, LoginRow, ProcessStatus
from rowlock_client.text import age, one_line, sentence

ARTICLE_CHARACTERS = 600
_TITLE_CHARACTERS, _ERROR_CHARACTERS, _LINE_CHARACTERS = 40, 60, 100


def process_text(process: ProcessStatus, logins: Sequence[LoginRow], now: datetime) -> str:
    """Phase, progress, counters, what comes next, the last error, the logins."""
    counts = process.counts
    comments = sum(count for status, count in counts.items() if status != "deleted")
    facts = [
        (
            "Process",
            (
                f"{process.namespace}/{process.name}"
                + ("" if process.is_active else " (deleted; its records stay)")
            ),
        ),
        ("Site", process.site or "-"),
        (
            "Mode",
            "comments wait for approval" if process.generate_only else "comments are posted by themselves",
        ),
        ("Phase", _phase(process, now)),
        (
            "Progress",
            f"{counts.get('posted', 0)} of {comments} comments posted, {process.articles} articles found",
        ),
        ("Comments", _counters(process)),
        ("Pace", f"{process.per_minute:.1f} a minute; {process.active} in work now"),
        ("Discovery", _discovery(process, now)),
        ("Last error", process.last_error or "none"),
    ]
    width = max(len(name) for name, _ in facts) + 1
    head = "\n".join(f"{name + ':':<{width}} {sentence(value)}" for name, value in facts)
    return f"{head}\n\n{logins_table(logins, now) if logins else 'It has no login.'}"


def _phase(process: ProcessStatus, now: datetime) -> str:
    if process.requested_at is not None and process.phase != "running":
        return (
            f"{process.phase}; its start was asked for {_since(process.requested_at, now)} ago and waits for"
            " a worker of the queue monitoring"
        )
    if process.phase == "running" and process.started_at is not None:
        left = "" if process.ends_at is None else f"; ends in {_since(now, process.ends_at)}"
        return f"running for {_since(process.started_at, now)}{left}"
    ended = f", {_since(process.stopped_at, now)} ago" if process.stopped_at else ""
    message = f": {process.message}" if process.message else ""
    return f"{process.phase}{f' ({process.reason}{message})' if process.reason else ''}{ended}"


def _counters(process: ProcessStatus) -> str:
    counts = process.counts
    before = sum(counts.get(status, 0) for status in ("discovered", "preparing", "prepared", "generating"))
    figures = [
        ("to be written", before),
        ("wait for approval", process.waiting),
        ("approved", process.approved + counts.get("posting", 0)),
        ("rejected", counts.get("generated", 0) - process.waiting - process.approved),
        ("posted", counts.get("posted", 0)),
        ("unknown", counts.get("unknown", 0)),
        ("failed", counts.get("failed", 0)),
    ]
    return ", ".join(f"{count} {name}" for name, count in figures if count) or "none yet"


def _discovery(process: ProcessStatus, now: datetime) -> str:
    if process.phase != "running":
        return "none: it does not run"
    if process.discovery_state == "queued":
        return "looking for articles now"
    if process.next_discovery_at is None or process.next_discovery_at <= now:
        return "due now"
    return f"in {_since(now, process.next_discovery_at)}"


def logins_table(logins: Sequence[LoginRow], now: datetime) -> str:
    """Login, site and session; never a word of a Secret."""
    lines = [
        [
            login.name,
            urlsplit(login.site or "").netloc or "-",
            login.state,
            "-" if login.session_since is None else _since(login.session_since, now),
            "-" if login.session_expires is None else _since(now, login.session_expires),
            str(login.full_logins),
            str(login.uses),
            _next_try(login, now),
            _cut(login.last_error or "", _ERROR_CHARACTERS),
        ]
        for login in logins
    ]
    return table(
        ["LOGIN", "SITE", "STATE", "SESSION", "EXPIRES", "LOGINS", "IN USE", "NEXT TRY", "LAST ERROR"], lines
    )


def _next_try(login: LoginRow, now: datetime) -> str:
    if login.state == "needs_reauth":
        return "once its Secret changes"
    if login.next_login_at is None or login.next_login_at <= now:
        return "-"
    return f"in {_since(now, login.next_login_at)}"


def comments_table(comments: Sequence[CommentLine], now: datetime) -> str:
    """What waits and what became of it."""
    lines = [
        [
            comment.id[:SHORT_ID_CHARACTERS],
            comment.process or "-",
            _cut(comment.article_title, _TITLE_CHARACTERS),
            comment.login or "-",
            comment.status,
            _approval(comment),
            _since(comment.created_at, now),
            _cut(comment.error_message or "", _ERROR_CHARACTERS),
        ]
        for comment in comments
    ]
    return table(["COMMENT", "PROCESS", "ARTICLE", "LOGIN", "STATUS", "APPROVAL", "AGE", "ERROR"], lines)


def _approval(comment: CommentLine) -> str:
    # Before the text is there nobody can approve it: "waiting" would ask for a person who has nothing to
    # read.
    if comment.status in ("discovered", "preparing", "prepared", "generating") or (
        comment.status == "failed" and not comment.approved_by
    ):
        return "-"
    return f"{comment.approval} by {comment.approved_by}" if comment.approved_by else comment.approval


def comment_text(comment: Comment, now: datetime) -> str:
    """The whole of a comment; its article shortened."""
    made = " ".join(part for part in (comment.provider, comment.model) if part) or "-"
    cost = "" if comment.tokens is None else f", {comment.tokens:,} tokens"
    took = "" if comment.generation_time_ms is None else f", {comment.generation_time_ms / 1000:.1f} s"
    approved = f" by {comment.approved_by}" if comment.approved_by else ""
    facts = [
        ("Comment", comment.id),
        ("Process", (comment.process or "-") + (f" ({comment.phase})" if comment.phase else "")),
        ("Login", comment.login or "-"),
        ("Prompt", comment.prompt or "-"),
        ("Status", f"{comment.status}, {_since(comment.updated_at, now)} ago"),
        ("Approval", f"{comment.approval}{approved}"),
        ("Model", f"{made}{cost}{took}"),
        *(
            [("Posted", f"{_since(comment.posted_at, now)} ago as {comment.comment_id_at_site}")]
            if comment.posted_at
            else []
        ),
        *([("Error", comment.error_message)] if comment.error_message else []),
        (
            "Article",
            f"{comment.article_title}{f' by {comment.article_author}' if comment.article_author else ''}",
        ),
        ("Address", comment.article_url or comment.article_id),
    ]
    width = max(len(name) for name, _ in facts) + 1
    parts = ["\n".join(f"{name + ':':<{width}} {sentence(value)}" for name, value in facts)]
    for title, text, longest in (
        ("Article", comment.article_content, ARTICLE_CHARACTERS),
        ("Comment", comment.comment_content, None),
        ("Reasoning", comment.reasoning_content, None),
    ):
        if text:
            parts.append(f"{title}\n{_paragraphs(text, longest)}")
    return "\n\n".join(parts)


def _paragraphs(text: str, longest: int | None) -> str:
    """Indented and wrapped; what a site or a model wrote cannot steer the terminal."""
    left = 0 if longest is None else max(0, len(text) - longest)
    shown = (
        text
        if not left
        else text[:longest].rstrip() + f" ... ({left:,} more characters; all of it with -o json)"
    )
    lines = [textwrap.wrap(one_line(line), _LINE_CHARACTERS) or [""] for line in shown.splitlines()]
    return "\n".join(f"  {piece}".rstrip() for line in lines for piece in line)


def _since(start: datetime, end: datetime) -> str:
    return age((end - start).total_seconds())


def _cut(text: str, longest: int) -> str:
    line = one_line(text)
    return line if len(line) <= longest else line[: longest - 3] + "..."
