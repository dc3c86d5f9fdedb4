"""Instants that the API server wrote are compared with its own clock, as its answers show it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from rowlock_operator.cluster.server_clock import ServerClock

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [-600, -301, -3, 3, 301, 600])
def test_the_servers_time_is_told_where_the_clocks_differ(ahead: float) -> None:
    clock = ServerClock(lambda: NOON)
    clock.note(format_datetime(NOON + timedelta(seconds=ahead), usegmt=True))
    assert clock.now() == NOON + timedelta(seconds=ahead)
    clock.note(format_datetime(NOON, usegmt=True))
    assert clock.now() == NOON, "it was set right"


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Thu, 01 Jan 2026 25:00:00 GMT",
        "2026-01-01T12:00:00Z",
        "Fri, 01 Jan 99999 12:00:00 GMT",
    ],
)
def test_an_odd_header_changes_nothing(date: str | None) -> None:
    clock = ServerClock(lambda: NOON)
    clock.note(format_datetime(NOON + timedelta(seconds=301), usegmt=True))
    clock.note(date)
    assert clock.now() == NOON + timedelta(seconds=301)


def test_whole_seconds_are_not_taken_for_a_difference() -> None:
    clock = ServerClock(lambda: NOON + timedelta(seconds=0.9))
    clock.note(format_datetime(NOON, usegmt=True))
    assert clock.now() == NOON + timedelta(seconds=0.9)
