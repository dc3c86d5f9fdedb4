"""Shorter waits for a process of ours, where a test is about what comes after a wait and not about how long
it is.

A test hands in statements that Python runs before the program (`otherwise` of OperatorRoom.operator); these
are the words they are made of.
"""

from typing import Any

LOOKS_AGAIN = """
import rowlock_operator.reconcile.databases as databases, rowlock_operator.reconcile.row_source as sources
import rowlock_operator.reconcile.work_queue as queues
databases.SECRET_SECONDS = queues.TROUBLE_SECONDS = sources.TROUBLE_SECONDS = 1.0
"""
"""The operator looks at what is wrong every second: a mended Secret, a database that is back."""

TELLS_SOON = """
from rowlock_operator.dispatch.watch import WatchSettings
from tests.services.hurry import defaults
defaults(WatchSettings, every_seconds=0.2, suspicious_seconds=0.5, bound_seconds=2.0,
         lasting_seconds=1.0, quiet_seconds=3.0)
"""
"""What lasts for a second is told, and no more once it has not happened for three: longer than a failing duty
pauses.
"""

FINDS_GONE_SOON = "import rowlock_operator.reconcile.gone as gone\ngone.GONE_SECONDS = 1.0\n"
"""The leader looks every second for what was deleted while nobody led."""


def defaults(of: type[Any], **values: Any) -> None:
    """Other defaults for what a class is made with."""
    made = of.__init__

    def init(self: Any, *arguments: Any, **given: Any) -> None:
        made(self, *arguments, **{**values, **given})

    of.__init__ = init  # type: ignore[misc]
