"""Collects what is gone: what was deleted while nobody led is still in the ledger as if it were there, and
databases that nobody uses any more are still open.
"""

import asyncio
import contextlib
from collections.abc import Callable

from rowlock_operator.api.kinds import ROW_SOURCES, WORK_QUEUES
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import RowlockError
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.objects import PrimaryCache, key_of

GONE_SECONDS = 20.0


class GoneCollector:
    """`ours(name)`: whether the object `namespace/name` would be this operator's."""

    def __init__(self, databases: Databases, objects: PrimaryCache, ours: Callable[[str], bool]) -> None:
        self._databases, self._objects, self._ours = databases, objects, ours

    async def run(self) -> None:
        """Looks at each database by itself, until cancelled: one that hangs is left to its own look."""
        looks: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                await asyncio.sleep(GONE_SECONDS)
                looks = {each: look for each, look in looks.items() if not look.done()}
                for dispatcher in self._databases:
                    if id(dispatcher) not in looks:
                        looks[id(dispatcher)] = asyncio.create_task(self._collect(dispatcher))
                await self._databases.close_unused()
        finally:
            for look in looks.values():
                look.cancel()

    async def _collect(self, dispatcher: DatabaseDispatcher) -> None:
        with contextlib.suppress(RowlockError):
            for name in await dispatcher.threads.run(dispatcher.ledger.queue_names):
                if self._gone(WORK_QUEUES.plural, name):
                    await dispatcher.threads.run(dispatcher.unregister_queue, name)
            for name in await dispatcher.threads.run(dispatcher.ledger.source_names):
                if self._gone(ROW_SOURCES.plural, name):
                    await dispatcher.threads.run(dispatcher.retire_source, name)

    def _gone(self, plural: str, name: str) -> bool:
        return self._ours(name) and self._objects.get(key_of(plural, name)) is None
