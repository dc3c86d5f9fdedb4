"""`rowlock health`: is there anything that somebody has to look at."""

from dataclasses import dataclass
from time import perf_counter

import click

from rowlock_cli import show
from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed, LedgerMissing
from rowlock_cli.figures import (
    Versions,
    operator_seen,
    queue_figures,
    queues_gone,
    runners,
    troubles,
    versions,
)
from rowlock_cli.info import ledger_sentence
from rowlock_cli.runs import may_read_tables, rows
from rowlock_cli.session import cluster_options, ledger, output_option
from rowlock_cli.words import Duration

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
    troubles: tuple[tuple[str, str, float], ...] = ()
    expected: tuple[str, ...] = ()  # of the deleted ones: no WorkQueue of that name was ever seen
    # why outcomes of a source that is gone cannot be written, and how many wait
    left_over: tuple[tuple[str, int], ...] = ()
    marks: tuple[str, ...] = ()  # rows marked as taken that no run belongs to


@click.command("health")
@click.option(
    "--max-wait",
    "max_wait_seconds",
    type=Duration(),
    default="1h",
    show_default=True,
    help="A startable run older than this is a problem.",
)
@click.option(
    "--max-dead",
    type=click.IntRange(min=0),
    help="More dead and unknown runs than this are a problem (else they are a note).",
)
@output_option
@cluster_options
def health(max_wait_seconds: float, max_dead: int | None, output: str) -> None:
    """Say whether all is well, and what to do if not.

    Looks at the database alone; Redis and Kubernetes are not asked (see the conditions of the WorkQueues for
    those).
    """
    try:
        with ledger() as opened, opened.transaction() as cur:
            findings = judge(take_vitals(cur), max_wait_seconds=max_wait_seconds, max_dead=max_dead)
    except Failed as error:
        about = "ledger" if isinstance(error, LedgerMissing) else "database"
        findings = [Finding(level="problem", about=about, sentence=f"{error.message.rstrip('.')}.")]
    well = all(finding.level != "problem" for finding in findings)
    if output == "json":
        click.echo(show.to_json({"well": well, "findings": [vars(finding) for finding in findings]}))
    else:
        for finding in findings:
            click.echo(f"{finding.level + ':':<9}{finding.sentence}")
    if not well:
        raise click.exceptions.Exit(1)


def take_vitals(cur: Cursor) -> Vitals:
    started = perf_counter()
    cur.execute(sql("now"))
    answer_seconds = perf_counter() - started
    readable = may_read_tables(cur)
    figures = queue_figures(cur, readable=readable)
    dead = sum(q.dead for q in figures)
    known = versions(cur)
    if not readable:
        return Vitals(answer_seconds=answer_seconds, versions=known, dead=dead)
    alive, lapsed_seconds = runners(cur)
    visible, operator_seconds = operator_seen(cur)
    cur.execute(sql("partitions"))
    days_ahead = int(rows(cur)[0]["days_ahead"])
    cur.execute(sql("oldest_due"))
    oldest = next(iter(cur.fetchall()), None)
    cur.execute(sql("source_troubles"))
    of_sources = cur.fetchall()
    left_over = tuple((trouble, int(outcomes)) for trouble, outcomes, _ in of_sources if trouble)
    marks = tuple(sentence for _, _, sentence in of_sources if sentence)
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
        suspended=tuple(q.queue for q in figures if q.suspended and not q.deleted),
        deleted=tuple(q.queue for q in figures if q.deleted),
        troubles=tuple(troubles(cur)),
        expected=tuple(name for name, never in queues_gone(cur).items() if never),
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
        _finding("problem", "duty", f"{message.rstrip('.')} ({duty}, for {show.age(seconds)}).")
        for duty, message, seconds in vitals.troubles
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
        since = show.age(vitals.lapsed_seconds)
        return _finding(
            "problem", about, f"A lease that lapsed {since} ago was not swept, so no operator leads; {look}."
        )
    if vitals.operator_seconds is not None and vitals.operator_seconds <= SILENT_SECONDS:
        since = show.age(vitals.operator_seconds)
        return _finding("ok", about, f"The operator spoke to this database {since} ago; {workers}.")
    if vitals.operator_visible:
        since = (
            "has a session here"
            if vitals.operator_seconds is None
            else f"has spoken for {show.age(vitals.operator_seconds)}"
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
            f"The run {run_id} of {queue} could have started {show.age(seconds)} ago; `rowlock why queue"
            f" {queue}` says why it did not."
        )
        return _finding("problem", "waiting", sentence)
    return _finding(
        "ok", "waiting", f"The oldest run that could start waits for {show.age(seconds)} ({queue})."
    )


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
