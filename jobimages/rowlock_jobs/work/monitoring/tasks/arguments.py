"""What tasks are called with, checked; and how one that cannot do its row gives it back."""

from typing import Any
from uuid import UUID

from rowlock_jobs.task import Canceled, InputError, Run
from rowlock_jobs.work.monitoring.records import CommentRow
from rowlock_jobs.work.monitoring.store import ask, comment_of


def uuid_argument(run: Run, name: str) -> str:
    """Raises InputError BadArguments."""
    found = optional_uuid(run, name)
    if found is None:
        raise InputError("BadArguments", f"{run.task} needs the argument {name}, a uuid")
    return found


def optional_uuid(run: Run, name: str) -> str | None:
    """None where it is absent. Raises InputError BadArguments."""
    value = run.args.get(name)
    if value is None:
        return None
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise InputError("BadArguments", f"{name} must be a uuid") from None


def put_back(why: str) -> Canceled:
    """To be raised: the source writes the row's earlier status, and takes it again once it is due."""
    return Canceled(why)


def row_of(run: Run, *statuses: str) -> tuple[CommentRow | None, str]:
    """The row the task is for, or None and why there is nothing to do."""
    row = comment_of(run, uuid_argument(run, "comment_id"))
    if row is None:
        return None, "Deleted"
    return (row, "") if row.status in statuses else (None, f"the row is {row.status}")


def whole_process(run: Run, process_id: str) -> dict[str, Any]:
    """A task asked for a process instead of a row: its rows are handed to the sources, which do the work."""
    ask(run, "runnable", process_id=process_id)
    ((prepared, approved),) = ask(run, "waiting", process_id=process_id)
    return {"handed_to_sources": True, "waiting_for_generation": prepared, "waiting_for_posting": approved}
