"""Reads how much waits and runs in each queue: what scaling needs, apart from everything that touches a
user's table.
"""

import time
from dataclasses import dataclass

from rowlock_operator.dispatch.state import SharedState
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Depth, Ledger


@dataclass(frozen=True)
class DepthsSettings:
    every_seconds: float = 0.5
    share: float = (
        0.1  # of the time that reading may take: with thousands of queues they are read less often,
    )
    longest_pause_seconds: float = (
        5.0  # but not so much less that they look like those of a database that went away
    )


class DepthsReader:
    def __init__(self, state: SharedState, ledger: Ledger, settings: DepthsSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings

    def run_once(self) -> float:
        """One reading; returns the seconds until the next."""
        began, settings = time.monotonic(), self._settings
        unknown: dict[int, str] = {}
        try:
            depths = {depth.queue_id: depth for depth in self._ledger.depths()}
        except GiveUp:
            depths, unknown = self._one_by_one()
        now = time.monotonic()
        with self._state.lock:
            self._state.depths, self._state.depths_unknown, self._state.depths_at = depths, unknown, now
        return max(
            settings.every_seconds, min(settings.longest_pause_seconds, (now - began) / settings.share)
        )

    def _one_by_one(self) -> tuple[dict[int, Depth], dict[int, str]]:
        """A figure that cannot be computed is its own queue's trouble: the depths of the others, and why not,
        by queue.
        """
        depths: dict[int, Depth] = {}
        unknown: dict[int, str] = {}
        for entry in self._state.queue_entries():
            try:
                depths.update({depth.queue_id: depth for depth in self._ledger.depths(entry.queue_id)})
            except GiveUp as error:
                unknown[entry.queue_id] = str(error)
        return depths, unknown
