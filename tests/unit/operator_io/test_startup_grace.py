"""Waiting for what is still being counted."""

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.reconcile.startup_grace import StartupGrace

KEY = ObjectKey("rowsources", "shop", "orders")


def test_patience_ends_and_begins_anew_once_it_was_settled() -> None:
    now = 100.0
    patience = StartupGrace(10.0, clock=lambda: now)
    assert patience.left(KEY) == 10.0
    now = 104.0
    assert patience.left(KEY) == 6.0
    now = 110.0
    assert patience.left(KEY) == 0.0
    patience.settle(KEY)
    assert patience.left(KEY) == 10.0
