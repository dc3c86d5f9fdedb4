"""Processes, logins and comments of the monitoring, as the database knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rowlock_client.connection import Cursor
from rowlock_client.errors import Ambiguous, NotFound, Refused
from rowlock_client.queries import fetch, fetch_column, fetch_value
from rowlock_client.runs import id_bounds

STATUSES = (
    "discovered",
    "preparing",
    "prepared",
    "generating",
    "generated",
    "posting",
    "posted",
    "unknown",
    "failed",
    "deleted",
)
APPROVALS = ("waiting", "approved", "rejected")
SHORT_ID_CHARACTERS = 8
"""Ids are random: among ten thousand comments two with the same eight digits are rare, and told apart by one
more.
"""
_KNOWN_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class ProcessName:
    """A process as it is called."""

    id: str
    namespace: str
    name: str

    @property
    def full(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """What `rowlock process status` tells; `counts` are comments by status. None: not known, or not now."""

    id: str
    namespace: str
    name: str
    is_active: bool
    site: str | None
    generate_only: bool
    phase: str
    reason: str
    message: str | None
    requested_at: datetime | None
    started_at: datetime | None
    ends_at: datetime | None
    stopped_at: datetime | None
    discovery_state: str
    next_discovery_at: datetime | None
    last_activity_at: datetime | None
    articles: int
    counts: Mapping[str, int]
    waiting: int
    approved: int
    active: int
    per_minute: float
    last_error: str | None


@dataclass(frozen=True, kw_only=True)
class LoginRow:
    """A login and its session. `session_since` is None where the next use of it logs in."""

    id: str
    name: str
    site: str | None
    state: str
    failed_logins: int
    next_login_at: datetime | None
    last_error: str | None
    full_logins: int
    session_since: datetime | None
    session_expires: datetime | None
    uses: int
    processes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class CommentLine:
    """A comment in a list."""

    id: str
    process: str | None
    article_title: str
    login: str | None
    prompt: str | None
    status: str
    approval: str
    approved_by: str | None
    error_message: str | None
    created_at: datetime
    posted_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment with its article. `phase` is its process's."""

    id: str
    namespace: str | None
    process: str | None
    phase: str | None
    article_id: str
    article_title: str
    article_author: str
    article_url: str | None
    article_content: str | None
    login: str | None
    prompt: str | None
    status: str
    approval: str
    approved_by: str | None
    approved_at: datetime | None
    comment_content: str | None
    reasoning_content: str | None
    provider: str | None
    model: str | None
    tokens: int | None
    generation_time_ms: int | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    posting_started_at: datetime | None
    posted_at: datetime | None
    comment_id_at_site: str | None

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID_CHARACTERS]


def check_installed(cursor: Cursor) -> None:
    """Raises Refused where this database has no tables of monitoring, or those of an older version."""
    if not fetch_value(cursor, "monitoring_installed"):
        raise Refused(
            "this database has no tables for monitoring, or those of an older version: install the chart with"
            " domain.monitoring.enabled=true; its migration makes them (see `kubectl get jobs` in the"
            " operator's namespace)"
        )


def find_process(cursor: Cursor, name: str, *, namespace: str | None) -> ProcessName:
    """The process NAME or NAMESPACE/NAME; where one name is deleted and made again, the living one. Raises
    NotFound with the known ones, Ambiguous with the namespaces.
    """
    given, slash, last = name.rpartition("/")
    wanted = given if slash else namespace
    found = [ProcessName(**row) for row in fetch(cursor, "processes_named", name=last, namespace=wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Ambiguous(
            f"the process {name} is in more than one namespace; say which:"
            f" {', '.join(one.full for one in found)}"
        )
    known = fetch_column(cursor, "processes_known", limit=_KNOWN_SHOWN + 1)
    listed = (
        ", ".join(known[:_KNOWN_SHOWN]) + (", ..." if len(known) > _KNOWN_SHOWN else "")
        if known
        else "none yet"
    )
    where = f" in the namespace {namespace}" if namespace and not slash else ""
    raise NotFound(
        f"there is no process {name}{where}; known: {listed}. A MonitoringProcess appears here once the"
        f" operator has taken it (`kubectl describe monitoringprocess {last}`: its condition Ready says what"
        " hinders)"
    )


def process_status(cursor: Cursor, process_id: str) -> ProcessStatus:
    """How the process with that id is. Raises NotFound where it vanished this moment."""
    found = fetch(cursor, "process_status", id=process_id)
    if not found:
        raise NotFound("the process was removed from the database just now")
    return ProcessStatus(**found[0])


def list_logins(cursor: Cursor, process_id: str | None) -> list[LoginRow]:
    """The logins of a process, or all."""
    return [LoginRow(**row) for row in fetch(cursor, "logins", process=process_id)]


def list_comments(
    cursor: Cursor, *, process_id: str | None, statuses: Sequence[str], approvals: Sequence[str], limit: int
) -> list[CommentLine]:
    """The newest comments that match."""
    values = {
        "process": process_id,
        "statuses": list(statuses) or None,
        "approvals": list(approvals) or None,
        "limit": limit,
    }
    return [CommentLine(**row) for row in fetch(cursor, "comments", **values)]


def find_comment(cursor: Cursor, beginning: str) -> Comment:
    """The one comment whose id begins so. Raises NotFound, Ambiguous."""
    try:
        low, high = id_bounds(beginning)
    except ValueError:
        raise NotFound(
            f"{beginning!r} is not (the beginning of) a comment's id: ids are hexadecimal digits and dashes"
        ) from None
    found = fetch(cursor, "comments_begin", low=low, high=high)
    if not found:
        raise NotFound(f"no comment begins with {beginning}; `rowlock comments list` lists them")
    if len(found) > 1:
        some = ", ".join(row["id"] for row in found[:5])
        raise Ambiguous(
            f"{beginning} is the beginning of more than one comment:"
            f" {some}{', ...' if len(found) > 5 else ''}; give more of the id"
        )
    return Comment(**found[0])


def run_now(cursor: Cursor, process_id: str) -> bool:
    """New articles are looked for now; False where the process does not run."""
    return bool(fetch_value(cursor, "run_now", id=process_id))


def waiting_comments(cursor: Cursor, process_id: str, until: datetime) -> list[str]:
    """Ids of the comments of a process that a person may decide on, written until that moment."""
    return fetch_column(cursor, "comments_waiting", process=process_id, until=until)


def decide_comments(cursor: Cursor, ids: Sequence[str], approval: str, by: str) -> set[str]:
    """Says `approved` or `rejected` in the name of `by`; the ids of those that were changed."""
    return set(fetch_column(cursor, "comments_decide", ids=list(ids), approval=approval, by=by))


def post_comments(cursor: Cursor, ids: Sequence[str], by: str) -> set[str]:
    """Lets comments be posted whatever their process does; the ids of those that may be now. One whose
    posting ended badly needs its run requeued in the same transaction.
    """
    return set(fetch_column(cursor, "comments_post", ids=list(ids), by=by))


@dataclass(frozen=True, kw_only=True)
class PostingRun:
    """The run that posts a comment, or that ended badly."""

    comment_id: str
    run_id: str
    state: str


def posting_runs(cursor: Cursor, namespace: str, comment_ids: Sequence[str]) -> list[PostingRun]:
    """At most one a comment: the newest that ended badly, or has not ended."""
    found = fetch(
        cursor,
        "posting_runs",
        queue=f"{namespace}/comments",
        source=f"{namespace}/monitoring-posting",
        ids=list(comment_ids),
    )
    return [PostingRun(**row) for row in found]
