"""A bound on how many are at work at once, which nobody who hangs can use up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SLOW_SECONDS = 2.0


class InFlightLimit:
    """Who takes longer than `slow_seconds` (a webhook that does not answer, say) gives its slot up and goes
    on.
    """

    def __init__(self, slots: int, slow_seconds: float = SLOW_SECONDS) -> None:
        self._free, self._slow_seconds = asyncio.Semaphore(slots), slow_seconds

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for one."""
        await self._free.acquire()
        held = True

        def give_up() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._slow_seconds, give_up)
        try:
            yield
        finally:
            timer.cancel()
            give_up()
