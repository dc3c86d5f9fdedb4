"""What time it is at the API server: it wrote the instants of creation, scheduling and deletion that are
shown as waiting for too long.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# The header Date has whole seconds, and an answer is under way for a moment.
EXACT_TO = timedelta(seconds=2)


class ServerClock:
    """Our own clock, set by the Date of the last answer where the two differ."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now, self._ahead = now, timedelta(0)

    def note(self, date: str | None) -> None:
        """The header Date of an answer that has just come; what is none changes nothing."""
        try:
            written = parsedate_to_datetime(date or "")
            ahead = written.replace(tzinfo=written.tzinfo or UTC) - self._now()
        except (ValueError, OverflowError):
            return
        self._ahead = ahead if abs(ahead) >= EXACT_TO else timedelta(0)

    def now(self) -> datetime:
        return self._now() + self._ahead
