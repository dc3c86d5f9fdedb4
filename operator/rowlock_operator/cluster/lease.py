"""Leader election on one coordination.k8s.io Lease.

Who is authoritative: the Lease object, changed only by PUT with its resourceVersion, so two candidates cannot
both win one change.
States: candidate -> leader -> candidate ...; a leader works in the task `lead()`.
Trust window: a leader trusts itself for `renew_deadline_seconds` after it SENT its last successful renewal;
others take the Lease over
`lease_seconds` after they SAW it change, by their own monotonic clock. Another node's clock is never
believed. The difference
(5 s by default) is what a leader has to stop its work.
On each failure:
  renewal refused or late -> try again until the deadline, then cancel `lead()`; if it does not end within the
  trust window, `on_stuck()`;
  `lead()` ends or fails by itself -> the Lease is released, the error is raised: a leader that does not work
  must not hold the Lease;
  orderly stop (cancel) -> `lead()` is cancelled first, then the Lease is released, so the next leader starts
  within `retry_seconds`;
  the event loop hangs -> elector and work hang together, the Lease lapses, and `holds()` answers by the
  clock, not by a flag.
There is no fencing token in the API: what a late leader may still write has to be idempotent (deterministic
names, server-side apply).
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from rowlock_operator.errors import Conflict, LeaseLost, NotFound, RowlockError

log = logging.getLogger("rowlock.lease")


@dataclass(frozen=True)
class ElectorSettings:
    """The usual values of client-go."""

    lease_seconds: float = 15.0
    """After this long without a change others take over: the longest time without a leader after a crash."""
    renew_deadline_seconds: float = 10.0
    """A leader that could not renew for this long stops; must leave time to stop before `lease_seconds`."""
    retry_seconds: float = 2.0
    """Between two tries to acquire or renew; a quarter of it is added as jitter."""

    def __post_init__(self) -> None:
        if not 0 < self.retry_seconds * 1.25 < self.renew_deadline_seconds < self.lease_seconds:
            raise ValueError(f"the elector needs retry < renew deadline < lease, got {self}")


@dataclass(frozen=True)
class LeaseRecord:
    """What the Lease says; `holder` is empty when it was released; `version` is the resourceVersion it was
    read at.
    """

    holder: str
    lease_seconds: float
    acquired_at: datetime | None
    renewed_at: datetime | None
    transitions: int
    version: str = ""


class LeaseStore(Protocol):
    """Where the Lease lives. `write` creates it where `record.version` is empty. Raises Conflict or another
    RowlockError; never hangs.
    """

    async def read(self) -> LeaseRecord: ...
    async def write(self, record: LeaseRecord) -> LeaseRecord: ...


class Elector:
    """One candidate. `run()` until cancelled; `lead` is the leader's work, cancelled when the Lease is lost.

    `on_rival` is awaited whenever somebody else is seen to hold the Lease: a Lease that was lost because
    nobody answers has no rival yet.
    """

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        lead: Callable[[], Awaitable[None]],
        *,
        settings: ElectorSettings | None = None,
        on_change: Callable[[bool], None] = lambda _leading: None,
        on_stuck: Callable[[], None] = lambda: None,
        on_rival: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.identity = identity
        self.settings = settings or ElectorSettings()
        self._store, self._lead, self._on_change, self._on_stuck = store, lead, on_change, on_stuck
        self._on_rival, self._clock, self._rng = on_rival, clock, rng or random.Random()
        self._record: LeaseRecord | None = None
        self._changed_at = float("-inf")  # when we saw the record change last, by our clock
        self._renewed_at = float("-inf")  # when we sent our last successful renewal

    def holds(self) -> bool:
        """Whether we may act as leader now; true only within the trust window, whatever else hangs."""
        return self._clock() < self._renewed_at + self.settings.renew_deadline_seconds

    @property
    def leader(self) -> str:
        """Who led when we last looked."""
        return self._record.holder if self._record else ""

    async def run(self) -> None:
        """Candidate and leader in turn, until cancelled; raises what `lead()` raised."""
        while True:
            while not await self._try(self._acquire, self.settings.renew_deadline_seconds):
                await self._pause()
            await self._serve()

    async def _serve(self) -> None:
        log.info("lease_acquired", extra={"identity": self.identity})
        self._on_change(True)
        work: asyncio.Task[None] = asyncio.ensure_future(self._run_lead())
        try:
            await self._renew_while(work)
        finally:
            self._on_change(False)
            if await self._stop(work):
                await self._release()
        if not work.done():
            raise LeaseLost(
                f"{self.identity}: the leader's work did not end within the trust window; end the process"
            )
        if not work.cancelled():
            work.result()  # ended by itself: its error is the caller's

    async def _run_lead(self) -> None:
        await self._lead()

    async def _renew_while(self, work: asyncio.Task[None]) -> None:
        """Returns when the Lease is lost or the work has ended."""
        while not work.done():
            await asyncio.wait([work], timeout=self._pause_seconds())
            if work.done():
                return
            left = self._renewed_at + self.settings.renew_deadline_seconds - self._clock()
            await self._try(self._renew, max(left, 0.0))
            if not self.holds():
                log.warning("lease_lost", extra={"identity": self.identity, "holder": self.leader})
                return

    async def _stop(self, work: asyncio.Task[None]) -> bool:
        """Cancels the work and waits for its end within the trust window; False where it did not end."""
        work.cancel()
        window = self._renewed_at + self.settings.lease_seconds - self._clock()
        await asyncio.wait([work], timeout=max(window, 0.1))
        if work.done():
            return True
        log.error(
            "leader_stuck",
            extra={
                "identity": self.identity,
                "remedy": "the process must end now: another leader takes over",
            },
        )
        self._on_stuck()
        return False

    async def _try(self, step: Callable[[], Awaitable[bool]], within_seconds: float) -> bool:
        try:
            # The store bounds its own requests; this bound holds even where it does not.
            async with asyncio.timeout(within_seconds):
                return await step()
        except (RowlockError, TimeoutError) as error:
            log.warning(
                "lease_try_failed",
                extra={"identity": self.identity, "error": str(error) or "no answer in time"},
            )
            return False

    async def _look(self) -> LeaseRecord:
        try:
            record = await self._store.read()
        except NotFound:
            record = LeaseRecord("", self.settings.lease_seconds, None, None, 0)
        if self._record is None or record != self._record:
            self._record, self._changed_at = record, self._clock()
        return record

    async def _acquire(self) -> bool:
        record = await self._look()
        lapsed = self._clock() >= self._changed_at + record.lease_seconds
        if record.holder and record.holder != self.identity and not lapsed:
            if self._on_rival is not None:
                await self._on_rival()
            return False
        now = datetime.now(UTC)
        mine = LeaseRecord(
            self.identity, self.settings.lease_seconds, now, now, record.transitions + 1, record.version
        )
        return await self._write(mine)

    async def _renew(self) -> bool:
        assert self._record is not None
        try:
            return await self._write(replace(self._record, renewed_at=datetime.now(UTC)))
        except Conflict:
            # Changed by another hand: ours still (an annotation, say) or taken over.
            record = await self._look()
            if record.holder == self.identity:
                return await self._write(replace(record, renewed_at=datetime.now(UTC)))
            self._renewed_at = float("-inf")
            return False

    async def _write(self, record: LeaseRecord) -> bool:
        sent_at = self._clock()
        self._record = await self._store.write(record)
        self._changed_at = self._clock()
        self._renewed_at = sent_at
        return True

    async def _release(self) -> None:
        """Gives the Lease back where it is still ours; best effort, it lapses anyway."""
        if not self.holds() or self._record is None:
            self._renewed_at = float("-inf")
            return
        self._renewed_at = float("-inf")
        record = replace(self._record, holder="", lease_seconds=1.0, renewed_at=datetime.now(UTC))
        try:
            self._record = await self._store.write(record)
            log.info("lease_released", extra={"identity": self.identity})
        except RowlockError as error:
            log.warning("lease_release_failed", extra={"identity": self.identity, "error": str(error)})

    def _pause_seconds(self) -> float:
        return self.settings.retry_seconds * self._rng.uniform(1.0, 1.25)

    async def _pause(self) -> None:
        await asyncio.sleep(self._pause_seconds())
