"""initialize_process_sessions, terminate_process_sessions, health_check_sessions and the cleanups of session
records; rotate_credentials.
"""

import os
from typing import Any

from rowlock_jobs.task import NeedsReauth, Run, SiteError, TaskError, task
from rowlock_jobs.work.monitoring.access import site_session
from rowlock_jobs.work.monitoring.settings import settings_from
from rowlock_jobs.work.monitoring.store import ask, execute, login_of, logins_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import uuid_argument
from rowlock_web.pace.gate import Stopped
from rowlock_web.vault.vault import CredentialsUnreadable, open_vault


@task("initialize_process_sessions")
def initialize_process_sessions(run: Run) -> dict[str, Any]:
    """A session for each login of a process; a stored one is enough. Where the site refuses every login, the
    process fails.
    """
    process = process_of(run, uuid_argument(run, "process_id"))
    if not process.running:
        return {"skipped": "NotRunning"}
    restored, logged_in, refused = 0, 0, 0
    later: SiteError | None = None
    logins = logins_of(run, process.id)
    for number, login in enumerate(logins):
        run.check()
        run.progress(done=number, total=len(logins), note=f"session of {login.name}")
        try:
            with site_session(run, process, login) as session:
                fresh = session.ensure()
        except Stopped as stopped:
            return {"skipped": stopped.reason}
        except NeedsReauth:
            refused += 1
        except SiteError as error:
            later = error
        else:
            logged_in, restored = logged_in + fresh, restored + (not fresh)
    if logins and refused == len(logins):
        message = (
            "the site refuses every login of this process: correct the Secrets, then change spec.startRequest"
        )
        ask(
            run, "stop_process", process_id=process.id, status="failed", reason="NeedsReauth", message=message
        )
    if later is not None:
        raise later
    return {"restored": restored, "full_logins": logged_in, "refused": refused}


@task("terminate_process_sessions")
def terminate_process_sessions(run: Run) -> dict[str, Any]:
    """Closes the sessions of a process that no other running process uses. Tells the site nothing: the
    process is stopped.
    """
    with run.transaction() as cur:
        return {"closed": len(execute(cur, "close_sessions", process_id=uuid_argument(run, "process_id")))}


@task("cleanup_expired_sessions")
def cleanup_expired_sessions(run: Run) -> dict[str, Any]:
    """Closes sessions whose day is over."""
    with run.transaction() as cur:
        return {"closed": len(execute(cur, "expire_sessions"))}


@task("cleanup_old_session_records")
def cleanup_old_session_records(run: Run) -> dict[str, Any]:
    """Deletes records of sessions that were closed thirty days ago."""
    with run.transaction() as cur:
        return {"deleted": len(execute(cur, "old_sessions"))}


@task("health_check_sessions")
def health_check_sessions(run: Run) -> dict[str, Any]:
    """Asks the site about sessions of running processes that were not used for an hour; one request each,
    twenty at most.
    """
    valid, closed, unanswered = 0, 0, 0
    for process_id, login_id in ask(run, "sessions_to_check"):
        run.check()
        try:
            with site_session(run, process_of(run, process_id), login_of(run, login_id)) as session:
                good = session.valid()
        except (TaskError, Stopped):
            run.check()
            unanswered += 1
            continue
        valid, closed = valid + good, closed + (not good)
    return {"valid": valid, "closed": closed, "unanswered": unanswered}


@task("rotate_credentials")
def rotate_credentials(run: Run) -> dict[str, Any]:
    """Everything that is encrypted under the first key of the key file; what a person changes meanwhile is
    left alone. `check` only counts.
    """
    vault = open_vault(settings_from(os.environ).keys_file)
    current, only_look = vault.key_ids()[0], run.args.get("check") is True
    rotated, unreadable, opened_by = 0, 0, dict.fromkeys(vault.key_ids(), 0)
    rows = ask(run, "encrypted")
    for number, (kind, identity, token) in enumerate(rows):
        run.check()
        run.progress(done=number, total=len(rows), note="looking" if only_look else "encrypting anew")
        try:
            key = vault.key_id(token)
            opened_by[key] = opened_by.get(key, 0) + 1
            if key != current and not only_look:
                ask(run, f"reencrypt_{kind}", id=identity, old=token, new=vault.rotate(token).decode())
                rotated += 1
        except CredentialsUnreadable:
            unreadable += 1
    return {
        "key": current,
        "encrypted_anew": rotated,
        "unreadable": unreadable,
        "looked_at": len(rows),
        "opened_by": opened_by,
    }
