"""Waiting for what is still being counted."""

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.reconcile.startup_grace import StartupGrace

KEY = ObjectKey("rowsources", "shop", "orders")


def test_grace_ends_and_begins_anew_once_it_was_ended() -> None:
    now = 100.0
    grace = StartupGrace(10.0, clock=lambda: now)
    assert grace.left(KEY) == 10.0
    now = 104.0
    assert grace.left(KEY) == 6.0
    now = 110.0
    assert grace.left(KEY) == 0.0
    grace.end(KEY)
    assert grace.left(KEY) == 10.0
