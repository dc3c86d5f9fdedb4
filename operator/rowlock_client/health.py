"""Is there anything that somebody has to look at: one look at the database, and what it means."""

from dataclasses import dataclass
from time import perf_counter

from rowlock_client.connection import Cursor
from rowlock_client.queries import database_now, fetch, fetch_value, may_read_tables
from rowlock_client.stats import (
    Versions,
    duty_problems,
    operator_seen,
    queue_stats,
    queues_gone,
    runners,
    versions,
)
from rowlock_client.text import age

SILENT_SECONDS = 15.0
"""The leader looks several times a second, leases are renewed every 3 s and a new leader takes over within 15
s.
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`level` is ok, note (worth knowing, exit code 0) or problem (exit code 1)."""

    level: str
    about: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """One look. What this login may not see is None."""

    answer_seconds: float
    versions: Versions
    dead: int
    oldest: tuple[str, str, float] | None = None  # run, queue, seconds since it could have started
    runners_alive: int | None = None
    lapsed_seconds: float = 0.0
    operator_visible: bool = False
    operator_seconds: float | None = None
    days_ahead: int | None = None
    suspended: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    # duty of an operator, what keeps it from its work, seconds
    duty_problems: tuple[tuple[str, str, float], ...] = ()
    expected: tuple[str, ...] = ()  # of the deleted ones: no WorkQueue of that name was ever seen
    # why outcomes of a source that is gone cannot be written, and how many wait
    left_over: tuple[tuple[str, int], ...] = ()
    marks: tuple[str, ...] = ()  # rows marked as taken that no run belongs to


def take_vitals(cursor: Cursor) -> Vitals:
    """One look at the database, within the transaction of the cursor."""
    started = perf_counter()
    database_now(cursor)
    answer_seconds = perf_counter() - started
    readable = may_read_tables(cursor)
    stats = queue_stats(cursor, readable=readable)
    dead = sum(q.dead for q in stats)
    known = versions(cursor)
    if not readable:
        return Vitals(answer_seconds=answer_seconds, versions=known, dead=dead)
    alive, lapsed_seconds = runners(cursor)
    visible, operator_seconds = operator_seen(cursor)
    days_ahead = int(fetch_value(cursor, "partitions"))
    oldest = next(((row["id"], row["queue"], row["seconds"]) for row in fetch(cursor, "oldest_due")), None)
    of_sources = fetch(cursor, "source_problems")
    left_over = tuple((row["trouble"], int(row["outcomes"])) for row in of_sources if row["trouble"])
    marks = tuple(row["marks"] for row in of_sources if row["marks"])
    return Vitals(
        answer_seconds=answer_seconds,
        versions=known,
        dead=dead,
        oldest=oldest,
        runners_alive=alive,
        lapsed_seconds=lapsed_seconds,
        operator_visible=visible,
        operator_seconds=operator_seconds,
        days_ahead=days_ahead,
        suspended=tuple(q.queue for q in stats if q.suspended and not q.deleted),
        deleted=tuple(q.queue for q in stats if q.deleted),
        duty_problems=tuple(duty_problems(cursor)),
        expected=tuple(name for name, never in queues_gone(cursor).items() if never),
        left_over=left_over,
        marks=marks,
    )


def judge(vitals: Vitals, *, max_wait_seconds: float, max_dead: int | None) -> list[Finding]:
    """What the look means, the foundations first. Pure."""
    found = [
        _finding(
            "ok", "database", f"The database answers within {max(1, round(vitals.answer_seconds * 1000))} ms."
        )
    ]
    known = vitals.versions
    if known.applied is None:
        found.append(_finding("note", "ledger", "This login may not read the ledger's version."))
    else:
        found.append(
            _finding(
                "problem" if known.missing else "note" if known.newer else "ok",
                "ledger",
                ledger_sentence(known),
            )
        )
    found.append(_operator(vitals))
    found += [
        _finding("problem", "duty", f"{message.rstrip('.')} ({duty}, for {age(seconds)}).")
        for duty, message, seconds in vitals.duty_problems
    ]
    if vitals.days_ahead is not None:
        found.append(_history(vitals.days_ahead))
    found.append(_oldest(vitals, max_wait_seconds))
    found += [
        _finding("note", "suspended", f"The queue {queue} is suspended: nothing of it starts.")
        for queue in vitals.suspended
    ]
    found += [
        _finding(
            "note",
            "deleted",
            f"The WorkQueue of {queue} is deleted and has runs left: `rowlock why queue {queue}` says what"
            " to do.",
        )
        for queue in vitals.deleted
        if queue not in vitals.expected
    ]
    found += [
        _finding(
            "note",
            "expected",
            f"Runs wait for the WorkQueue {queue}, which does not exist: create it, or cancel them.",
        )
        for queue in vitals.deleted
        if queue in vitals.expected
    ]
    found += [
        _finding("problem", "outcomes", f"{outcomes} waiting: {why}") for why, outcomes in vitals.left_over
    ]
    found += [_finding("problem", "rows", sentence) for sentence in vitals.marks]
    found.append(_dead(vitals.dead, max_dead))
    found.append(
        _finding(
            "note",
            "redis",
            "Redis is not checked here; the condition Ready of each WorkQueue tells about it.",
        )
    )
    return found


def _operator(vitals: Vitals) -> Finding:
    about, alive = "operator", vitals.runners_alive
    if alive is None:
        return _finding(
            "note",
            about,
            "This login may read only the view rowlock.run: whether an operator leads is not seen.",
        )
    workers = f"{alive} {'worker renews its lease' if alive == 1 else 'workers renew their leases'}"
    look = "`kubectl get pods -l app.kubernetes.io/component=operator` in its namespace says why"
    if vitals.lapsed_seconds > SILENT_SECONDS:
        since = age(vitals.lapsed_seconds)
        return _finding(
            "problem", about, f"A lease that lapsed {since} ago was not swept, so no operator leads; {look}."
        )
    if vitals.operator_seconds is not None and vitals.operator_seconds <= SILENT_SECONDS:
        since = age(vitals.operator_seconds)
        return _finding("ok", about, f"The operator spoke to this database {since} ago; {workers}.")
    if vitals.operator_visible:
        since = (
            "has a session here"
            if vitals.operator_seconds is None
            else f"has spoken for {age(vitals.operator_seconds)}"
        )
        return _finding(
            "problem", about, f"No operator {since}: nothing is claimed or swept ({workers}); {look}."
        )
    if alive:
        return _finding(
            "ok",
            about,
            f"{workers[0].upper()}{workers[1:]}; the operator's sessions are not seen by this login.",
        )
    return _finding(
        "note", about, "No worker holds a lease, and the operator's sessions are not seen by this login."
    )


def _history(days_ahead: int) -> Finding:
    if days_ahead < 1:
        return _finding(
            "problem",
            "history",
            "The history has no place for tomorrow: no run could end then; the operator makes it, see its"
            " log.",
        )
    return _finding(
        "ok",
        "history",
        f"The history has its places for {days_ahead} more {'day' if days_ahead == 1 else 'days'}.",
    )


def _oldest(vitals: Vitals, max_wait_seconds: float) -> Finding:
    if vitals.runners_alive is None:
        return _finding("note", "waiting", "How long startable runs wait is not seen by this login.")
    if vitals.oldest is None:
        return _finding("ok", "waiting", "No run waits that could start now.")
    run_id, queue, seconds = vitals.oldest
    if seconds > max_wait_seconds:
        sentence = (
            f"The run {run_id} of {queue} could have started {age(seconds)} ago; `rowlock why queue"
            f" {queue}` says why it did not."
        )
        return _finding("problem", "waiting", sentence)
    return _finding("ok", "waiting", f"The oldest run that could start waits for {age(seconds)} ({queue}).")


def _dead(dead: int, max_dead: int | None) -> Finding:
    if not dead:
        return _finding("ok", "dead letters", "No run waits for a person.")
    sentence = (
        f"{dead} {'run waits' if dead == 1 else 'runs wait'} for a person (dead or unknown); `rowlock"
        " dead-letters` lists them."
    )
    return _finding(
        "problem" if max_dead is not None and dead > max_dead else "note", "dead letters", sentence
    )


def _finding(level: str, about: str, sentence: str) -> Finding:
    return Finding(level=level, about=about, sentence=sentence)


def ledger_sentence(known: Versions) -> str:
    """How the ledger's version compares with this command's. Pure; `known.applied` is not None."""
    latest = known.applied[-1] if known.applied else "none"
    if known.missing:
        return (
            f"The ledger is older than this command: it has {latest} and lacks {', '.join(known.missing)}; "
            "an operator of this version brings it up to date when it starts."
        )
    if known.newer:
        return (
            f"The ledger is newer than this command: it has {', '.join(known.newer)}, too; a newer command"
            " knows what that is for."
        )
    return f"The ledger has the version this command expects ({latest})."
