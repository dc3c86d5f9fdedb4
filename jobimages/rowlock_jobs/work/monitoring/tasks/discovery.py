"""periodic_monitoring_check: looks for new articles, through each login, at the process's own pace."""

from typing import Any

from rowlock_jobs.task import Run, SiteError, TaskError, task
from rowlock_jobs.work.monitoring.access import site_session
from rowlock_jobs.work.monitoring.records import Process
from rowlock_jobs.work.monitoring.store import ask, execute, logins_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import optional_uuid
from rowlock_web.capabilities.articles import ArticleFilter, ArticleRef
from rowlock_web.capabilities.offered import offered
from rowlock_web.logins.store import Login
from rowlock_web.pace.gate import Stopped

_DEFAULT_INTERVAL, _DEFAULT_LONGEST = 60.0, 600.0


@task("periodic_monitoring_check")
def periodic_monitoring_check(run: Run) -> dict[str, Any]:
    """Of one process (`process_id`); without it, every running process is made due, and the source does
    them.
    """
    process_id = optional_uuid(run, "process_id")
    if process_id is None:
        ask(run, "discover_all")
        return {"handed_to_sources": True}
    process = process_of(run, process_id)
    if not process.running:
        return {"skipped": "NotRunning"}
    base = process.setting("discovery_interval_seconds", _DEFAULT_INTERVAL)
    ask(run, "discovery_begins", process_id=process.id, seconds=base)
    try:
        seen, errors = _look(run, process)
    except Stopped as stopped:
        return {"skipped": stopped.reason}
    if errors and not seen:
        with run.connection() as connection, connection.cursor() as cur:
            execute(
                cur,
                "discovery_ends",
                process_id=process.id,
                streak=process.discovery_empty_streak,
                error=_told(errors[-1]),
                seconds=base,
            )
        raise errors[-1]
    new = 0
    with run.transaction() as cur:
        for login, refs in seen:
            new += len(execute(cur, "discovered", **_columns(process, login, refs)))
        streak = 0 if new else process.discovery_empty_streak + 1
        pause = pause_after(streak, base, process.setting("discovery_max_interval_seconds", _DEFAULT_LONGEST))
        execute(
            cur,
            "discovery_ends",
            process_id=process.id,
            streak=streak,
            error=_told(errors[-1]) if errors else None,
            seconds=pause,
        )
        execute(cur, "runnable", process_id=process.id)
    return {
        "articles_seen": sum(len(refs) for _, refs in seen),
        "comments_new": new,
        "logins": len(seen),
        "logins_failed": len(errors),
        "next_seconds": pause,
    }


def pause_after(empty_streak: int, base: float, longest: float) -> float:
    """Seconds until the next look: the base interval after hits, doubled with each look that found nothing,
    at most `longest`.
    """
    return float(min(longest, base * 2.0 ** min(max(empty_streak - 1, 0), 30))) if empty_streak else base


def _look(run: Run, process: Process) -> tuple[list[tuple[Login, list[ArticleRef]]], list[TaskError]]:
    """What each login saw; one that fails does not hide what the others see."""
    wanted = ArticleFilter(
        tab=process.tab_filter,
        category=process.category_filter,
        task=process.task_filter,
        search=process.search_filter,
        sort=process.sort_option or "newest",  # type: ignore[arg-type]
        limit=process.article_limit,
    )
    seen: list[tuple[Login, list[ArticleRef]]] = []
    errors: list[TaskError] = []
    logins = logins_of(run, process.id)
    for number, login in enumerate(logins):
        run.check()
        run.progress(done=number, total=len(logins), note=f"looking as {login.name}")
        if login.state == "needs_reauth":
            errors.append(
                SiteError(
                    "NeedsReauth",
                    f"the site refuses login {login.name}: correct name and password in its Secret",
                )
            )
            continue
        try:
            with site_session(run, process, login) as session:
                refs = session.do(lambda site: offered(site.articles, "articles").discover(wanted))
        except TaskError as error:
            run.check()
            errors.append(error)
        else:
            seen.append((login, [ref for ref in refs if ref.published]))
    return seen, errors


def _told(error: TaskError) -> str:
    return f"{error.reason}: {error}"[:1000]


def _columns(process: Process, login: Login, refs: list[ArticleRef]) -> dict[str, Any]:
    return {
        "process_id": process.id,
        "login_id": login.id,
        "site": process.site,
        "ids": [ref.id for ref in refs],
        "titles": [ref.title for ref in refs],
        "authors": [ref.author for ref in refs],
        "urls": [ref.url for ref in refs],
        "dates": [ref.published_at.isoformat() if ref.published_at else None for ref in refs],
        "statuses": [ref.status for ref in refs],
    }
