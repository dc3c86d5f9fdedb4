"""start_monitoring_process, stop_monitoring_process."""

from typing import Any

from rowlock_jobs.task import Run, task
from rowlock_jobs.work.monitoring.store import ask, follow_up, logins_of, process_of
from rowlock_jobs.work.monitoring.tasks.arguments import uuid_argument


@task("start_monitoring_process")
def start_monitoring_process(run: Run) -> dict[str, Any]:
    """From asked-for to running: the first discovery is due at once. Fails the process clearly where nothing
    could come of it.
    """
    process = process_of(run, uuid_argument(run, "process_id"))
    lacking = _lacking(run, process.id)
    if lacking is not None:
        reason, message = lacking
        ask(run, "stop_process", process_id=process.id, status="failed", reason=reason, message=message)
        return {"started": False, "reason": reason}
    started = bool(ask(run, "run_process", process_id=process.id)[0][0])
    if started or process.running:  # running already: a repetition of this task after a crash
        follow_up(run, "initialize_process_sessions", "sessions", process_id=process.id)
        return {"started": True}
    return {"started": False, "reason": "NotAsked"}


def _lacking(run: Run, process_id: str) -> tuple[str, str] | None:
    if not logins_of(run, process_id):
        return "NoLogin", "the process has no active login: name one in spec.logins"
    if not ask(run, "prompt_count", process_id=process_id)[0][0]:
        return "NoPrompt", "the process has no active prompt: name one in spec.prompts"
    if not ask(run, "model", process_id=process_id):
        return "NoModel", "the process has no model: name one in spec.llm"
    return None


@task("stop_monitoring_process")
def stop_monitoring_process(run: Run) -> dict[str, Any]:
    """Stopped at once (where it was not), then its sessions are closed."""
    process = process_of(run, uuid_argument(run, "process_id"))
    stopped = bool(
        ask(run, "stop_process", process_id=process.id, status="stopped", reason="Stopped", message=None)[0][
            0
        ]
    )
    follow_up(run, "terminate_process_sessions", "sessions", process_id=process.id)
    return {"stopped": stopped or not process.running}
