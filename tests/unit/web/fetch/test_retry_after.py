"""How long a server asks to wait, in either form of the header."""

from datetime import UTC, datetime

import pytest

from rowlock_web.fetch.retry_after import retry_after

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Mon, 05 Jan 2026 12:01:30 GMT", 90.0),
        ("Mon, 05 Jan 2026 12:01:30 -0000", 90.0),
        ("Mon, 05 Jan 2026 13:01:30 +0100", 90.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 0.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("-5", None),
        ("٧", None),
        ("1e9", None),
    ],
)
def test_seconds_and_dates_are_read_and_anything_else_says_nothing(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after(header, NOW) == seconds
