"""The claimer's loop: feed from the sources, one round over all queues, then push to Redis or hand to the
launcher.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.api import reasons
from rowlock_operator.dispatch.feeder import Fed, Feeder
from rowlock_operator.dispatch.state import QueueEntry, SharedState, trouble_of
from rowlock_operator.errors import RowlockError
from rowlock_operator.rows.hint import HintListener
from rowlock_operator.rows.ledger import Claimed, Ledger
from rowlock_operator.transport.redis_queues import RedisQueues


@dataclass(frozen=True)
class ClaimerSettings:
    busy_seconds: float = (
        0.02  # pause after a round that moved something; none where there was more than a batch
    )
    idle_seconds: float = 0.05
    smallest_depth: int = 64  # claims a Workers queue may have in Redis, at least
    largest_depth: int = 4000  # and at most; more would only take the order away from priorities
    largest_round: int = (
        1000  # claims of one queue in one round: 8 ms for 500; a round holds up all the other queues
    )
    counts_seconds: float = 0.1
    counts_share: float = 0.05  # of the time that counting may take: it reads every run in hand
    redis_pause_seconds: float = 1.0
    floor_seconds: float = (
        5.0  # the inbox is read from its beginning this often, for transactions that committed late
    )
    many_queues: int = (
        32  # with more, a round that follows an idle one first asks whether there is anything to do at all
    )
    hint: bool = True  # listen for NOTIFY, so that a pause ends when a row comes
    hint_gap_seconds: float = (
        0.005  # pause after a round that moved something, hinted or not: bounds what hints may cost
    )
    hint_most: int = 16  # a round that moved more than this needs no hint for the next
    hint_vain: int = (
        8  # so many hints in a row without a row (another kind of rows is added): no more for a while
    )
    hint_rest_seconds: float = 2.0


@dataclass
class _Hand:
    """Claims of one queue that have not ended: counted now and then, reckoned in between."""

    queued: int = 0
    rest: int = 0
    depth: int = 64


class Claimer:
    """`run_once` is one round, `pause` the time between two. `launch` gets the claims of Jobs queues; it must
    only take note of them.
    """

    def __init__(
        self,
        state: SharedState,
        ledger: Ledger,
        redis: Callable[[], RedisQueues],
        feeder: Feeder,
        settings: ClaimerSettings,
        launch: Callable[[QueueEntry, list[Claimed]], None],
        hints: HintListener,
        on_duplicate: Callable[[str, int], None] = lambda queue, n: None,
    ) -> None:
        self._state, self._ledger, self._redis, self._feeder, self._settings = (
            state,
            ledger,
            redis,
            feeder,
            settings,
        )
        self._launch, self._hints, self._on_duplicate = launch, hints, on_duplicate
        self._moved = 0  # by the last round
        self._hinted = False
        self._vain = 0  # hints in a row that nothing came of
        self._rest_until = 0.0
        self._hands: dict[int, _Hand] = {}
        self._count_at = self._floor_read = -1e9
        self._floor = "0"
        self._redis_away_until = 0.0

    def run_once(self) -> float:
        """One look at the sources and one round; returns the seconds until the next."""
        feeding_error: Exception | None = None
        fed = Fed()
        hinted, self._hinted = self._hinted, False
        try:
            fed = self._feeder.run_once(hinted=hinted)
        except Exception as error:  # noqa: BLE001 - what is in the ledger already must still go on
            feeding_error = error
        claimed, more = self._round()
        self._moved = max(fed.rows, claimed)
        self._vain = 0 if self._moved else self._vain + hinted
        if feeding_error is not None:
            raise feeding_error
        if fed.more or more:
            return 0.0
        return self._settings.busy_seconds if self._moved else self._settings.idle_seconds

    def pause(self, seconds: float) -> None:
        """Up to so many seconds; ends early when somebody hints at a row, unless so many come that hints
        would only cost.
        """
        settings = self._settings
        if self._vain >= settings.hint_vain:
            self._rest_until, self._vain = (
                time.monotonic() + settings.hint_rest_seconds,
                settings.hint_vain // 2,
            )
        self._hints.ask(
            settings.hint and self._moved <= settings.hint_most and time.monotonic() >= self._rest_until
        )
        if self._moved:
            time.sleep(min(settings.hint_gap_seconds, seconds))
            seconds -= settings.hint_gap_seconds
        self._hinted = seconds > 0 and self._hints.wait(seconds)

    def _round(self) -> tuple[int, bool]:
        """How many were claimed, and whether there may be more."""
        now = time.monotonic()
        whole = now - self._floor_read > self._settings.floor_seconds
        if whole:
            self._floor, self._floor_read = "0", now
        if now > self._count_at:
            self._count()
        many = len(self._state.queues) > self._settings.many_queues
        if many and not (whole or self._moved) and not self._ledger.stirs(self._floor):
            return 0, False
        queues = {q.queue_id: q for q in self._state.queue_entries() if not q.suspended}
        wanted = {queue_id: self._wanted(entry) for queue_id, entry in queues.items()}
        given = self._ledger.round(wanted, self._floor)
        self._floor = given.floor
        self._noted(leader=given.leader)
        by_queue: dict[int, list[Claimed]] = {}
        for claim in given.claimed:
            by_queue.setdefault(claim.queue_id, []).append(claim)
        more = False
        for queue_id, claims in by_queue.items():
            full = len(claims) >= wanted[queue_id]
            self._hand_over(queues[queue_id], claims, full=full)
            more = more or (full and self._wanted(queues[queue_id]) > 0)
        return len(given.claimed), more

    def _noted(self, *, leader: bool) -> None:
        """Others may hold the lock for a round of theirs; who holds it for long is the watch's to find
        out.
        """
        now = time.monotonic()
        if leader:
            self._state.round_at, self._state.denied_since = now, None
        elif self._state.denied_since is None:
            self._state.denied_since = now

    def _hand_over(self, entry: QueueEntry, claims: list[Claimed], *, full: bool) -> None:
        hand = self._hands[entry.queue_id]
        if entry.jobs_mode:
            hand.rest += len(claims)
            self._state.starts.claimed(entry.queue_id, deadline_seconds=entry.starting_deadline_seconds)
            self._launch(entry, claims)
            return
        # A queue that was nearly empty when it was filled to its depth is drained faster than we look: give
        # it more.
        if full and hand.queued < hand.depth // 4:
            hand.depth = min(self._settings.largest_depth, hand.depth * 2)
        hand.queued += len(claims)
        try:
            pushed = self._redis().push(
                entry.name, [c.rq_job_id for c in claims], hard_seconds=entry.hard_seconds
            )
        except RowlockError as error:
            # The claims are the sweeper's now. Queues without Redis go on; the others are not claimed from
            # for a moment.
            self._state.redis = trouble_of(error, reasons.REDIS_UNREACHABLE)
            self._redis_away_until = time.monotonic() + self._settings.redis_pause_seconds
            return
        self._state.redis = None
        if pushed < len(claims):
            self._on_duplicate(entry.name, len(claims) - pushed)

    def _wanted(self, entry: QueueEntry) -> int:
        settings = self._settings
        hand = self._hands.setdefault(entry.queue_id, _Hand(depth=settings.smallest_depth))
        if entry.jobs_mode:
            in_hand = hand.queued + hand.rest
            allowed = self._state.starts.allowed(
                entry.queue_id,
                parallelism=entry.parallelism,
                in_hand=in_hand,
                deadline_seconds=entry.starting_deadline_seconds,
            )
            return min(settings.largest_round, allowed)
        if time.monotonic() < self._redis_away_until:
            return 0
        if self._state.redis is not None:
            return 1  # one claim finds out whether it is back
        return min(settings.largest_round, max(0, hand.depth - hand.queued))

    def _count(self) -> None:
        began = time.monotonic()
        counts = self._ledger.claimed_counts()
        for queue_id, hand in self._hands.items():
            hand.queued, hand.rest = counts.get(queue_id, (0, 0))
            if hand.queued > 3 * hand.depth // 4:
                hand.depth = max(self._settings.smallest_depth, hand.depth * 9 // 10)
        now = time.monotonic()
        self._count_at = now + max(self._settings.counts_seconds, (now - began) / self._settings.counts_share)
