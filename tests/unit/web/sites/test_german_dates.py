"""Dates as myMoment writes them."""

from datetime import UTC, datetime

import pytest

from rowlock_web.sites.mymoment.german_dates import german_date


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("28.01.2026", (2026, 1, 27, 23, 0)),
        ("28.01.2026 um 09:24 Uhr", (2026, 1, 28, 8, 24)),
        ("Publiziert am 28.07.2026, 9:24", (2026, 7, 28, 7, 24)),
        ("1. 2. 26", (2026, 1, 31, 23, 0)),
        ("28. Januar 2026, 9.24 Uhr", (2026, 1, 28, 8, 24)),
        ("3. März 2026", (2026, 3, 2, 23, 0)),
        ("3. Maerz 2026", (2026, 3, 2, 23, 0)),
        ("12. Dez. 2025 18:05:30", (2025, 12, 12, 17, 5, 30)),
    ],
)
def test_german_dates_are_read_in_swiss_time(text: str, moment: tuple[int, ...]) -> None:
    assert german_date(text) == datetime(*moment, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gestern",
        "vor 3 Stunden",
        "31.02.2026",
        "28. Brumaire 2026",
        "28.13.2026",
        "28.01.2026 um 25:00 Uhr",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert german_date(text) is None
