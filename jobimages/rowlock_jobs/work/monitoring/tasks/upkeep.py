"""check_process_timeouts, health_check_monitoring_processes, system_maintenance: what the schedules ask
for.
"""

from typing import Any

from rowlock_jobs.task import Run, task
from rowlock_jobs.work.monitoring.store import ask, execute, follow_up


@task("check_process_timeouts")
def check_process_timeouts(run: Run) -> dict[str, Any]:
    """Ends processes whose duration is over; the operator does it to the second, this is the backstop."""
    with run.transaction() as cur:
        return {"ended": [process_id for (process_id,) in execute(cur, "expire")]}


@task("health_check_monitoring_processes")
def health_check_monitoring_processes(run: Run) -> dict[str, Any]:
    """Counts, running processes without a sign of life for an hour, refused logins; rows of running processes
    are offered again.
    """
    for (process_id,) in ask(run, "running"):
        ask(run, "runnable", process_id=process_id)
    ((processes, stale, sessions, refused),) = ask(run, "health")
    if sessions:
        follow_up(run, "health_check_sessions", "sessions")
    status = "warning" if stale or refused else "healthy"
    return {
        "status": status,
        "processes": processes,
        "stale": stale,
        "active_sessions": sessions,
        "logins_needing_reauth": refused,
    }


@task("system_maintenance")
def system_maintenance(run: Run) -> dict[str, Any]:
    """Asks for the cleanups; each is a run of its own, so that one which fails does not hide the others."""
    wanted = (
        ("cleanup_expired_sessions", "sessions"),
        ("cleanup_old_session_records", "sessions"),
        ("cleanup_old_articles", "monitoring"),
    )
    for name, queue in wanted:
        follow_up(run, name, queue)
    return {"asked_for": [name for name, _ in wanted]}
