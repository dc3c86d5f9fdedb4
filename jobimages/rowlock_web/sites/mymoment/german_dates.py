"""Dates as German pages write them. Pure: relative ones ("vor 3 Stunden") are not read, since they need a
clock.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Europe/Zurich")
_MONTHS = ("jan", "feb", "mär", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez")
_NUMBERS = re.compile(r"\b(\d{1,2})\.\s*(\d{1,2})\.\s*(\d{4}|\d{2})\b")
_WORDS = re.compile(r"\b(\d{1,2})\.\s*([a-zä]{3})[a-zä]*\.?\s+(\d{4})\b")
_TIME = re.compile(r"\b(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\s*uhr)?\s*$")


def german_date(text: str) -> datetime | None:
    """`28.01.2026`, `28.01.2026 um 09:24 Uhr`, `28. Januar 2026, 9:24`, `28. Jan. 2026`, in Swiss time; None
    for anything else.
    """
    lowered = text.strip().casefold().replace("maerz", "märz").replace("mrz", "mär")
    if found := _NUMBERS.search(lowered):
        month = int(found[2])
    elif (found := _WORDS.search(lowered)) and found[2] in _MONTHS:
        month = _MONTHS.index(found[2]) + 1
    else:
        return None
    time = _TIME.search(lowered, found.end())
    hour, minute, second = (int(part or 0) for part in time.groups()) if time else (0, 0, 0)
    year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
    try:
        return datetime(year, month, int(found[1]), hour, minute, second, tzinfo=_ZONE).astimezone(UTC)
    except ValueError:
        return None
