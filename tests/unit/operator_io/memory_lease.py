"""A Lease in memory with the API server's rules (optimistic locking), and faults to switch on. Under one
contract with the real one.
"""

import asyncio
from dataclasses import replace

from rowlock_operator.cluster.lease import LeaseRecord
from rowlock_operator.errors import ApiUnavailable, Conflict, NotFound


class MemoryLease:
    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.versions = 0
        self.down = False
        self.hangs = False
        self.loses_replies = False

    async def read(self) -> LeaseRecord:
        await self._fault()
        if self.record is None:
            raise NotFound("no Lease")
        return self.record

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        await self._fault()
        if record.version != (self.record.version if self.record else ""):
            raise Conflict("the Lease was changed")
        self.versions += 1
        self.record = replace(record, version=str(self.versions))
        if self.loses_replies:
            raise ApiUnavailable("the reply was lost")
        return self.record

    async def _fault(self) -> None:
        if self.hangs:
            await asyncio.sleep(10_000)
        if self.down:
            raise ApiUnavailable("down")
