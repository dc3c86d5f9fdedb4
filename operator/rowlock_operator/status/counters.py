"""Numbers and instants as printer columns show them."""

from datetime import datetime, timedelta
from typing import Any

from rowlock_operator.status.conditions import timestamp

# The clock of the database and the rounding to seconds move an instant that is the same.
SAME_WITHIN = timedelta(seconds=3)


def display(count: int, cap: int | None = None) -> str:
    """`1000+` where counting stopped at `cap`."""
    return f"{cap}+" if cap is not None and count >= cap else str(count)


def settled(now: datetime | None, before: datetime | None) -> str | None:
    """The instant, as it was where it has hardly moved: otherwise every look would write the status."""
    if now is None:
        return None
    if before is not None and abs(now - before) <= SAME_WITHIN:
        return timestamp(before)
    return timestamp(now)


def without_absent(status: dict[str, Any]) -> dict[str, Any]:
    """A status without fields that say nothing."""
    return {key: value for key, value in status.items() if value is not None}
