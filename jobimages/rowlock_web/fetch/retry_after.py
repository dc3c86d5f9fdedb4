"""How long a server asks to wait. Pure."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)


def number_of_seconds(header: str | None) -> float | None:
    """A header that is a plain number, as seconds; None for anything else."""
    found = _NUMBER.fullmatch((header or "").strip())
    return float(found[0]) if found else None


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header in either of its forms, at least 0; None where it is absent or says
    nothing that can be read. `now` (aware) is what a date is counted from.

    Whoever waits sets the longest wait that it accepts.
    """
    seconds = number_of_seconds(header)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime((header or "").strip())
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())
