"""Which tasks may run here: those the WorkQueue names and an imported module registers."""

from collections.abc import Iterable

from rowlock_jobs.outcome import Outcome, failed
from rowlock_jobs.settings import Settings


class TaskAllowList:
    """The allow-list of the WorkQueue."""

    def __init__(self, tasks: frozenset[str], registered: frozenset[str]) -> None:
        self._tasks, self._registered = tasks, registered

    @classmethod
    def of(cls, settings: Settings, registered: Iterable[str]) -> "TaskAllowList":
        return cls(frozenset(settings.tasks), frozenset(registered))

    def refusal(self, task: str) -> Outcome | None:
        """The outcome of a run whose task may not run here; None where it may."""
        if task not in self._tasks:
            message = f"task {task!r} is not in the WorkQueue's spec.tasks: add it there, or correct the row"
            return failed("input", "TaskNotAllowed", message)
        if task not in self._registered:
            return failed(
                "input",
                "TaskUnknown",
                f"no module of ROWLOCK_IMPORTS registers task {task!r}: add its module to spec.imports",
            )
        return None
