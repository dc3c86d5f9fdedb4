"""What the database sends, as values that can always be shown: PostgreSQL keeps moments, numbers and
documents that Python does not.

Registered on a connection once, so that no command needs to think of it.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2 import extensions

DEEPEST = 100
"""Levels of a document that are taken apart; what is deeper stays the text it is (the encoder gives up at
some hundred).
"""
_LONGEST_NUMBER = 4_000  # digits; Python reads and writes 4,300
_YEAR_SECONDS = 31_556_952
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_DATE = re.compile(r"(\d+)-(\d\d)-(\d\d)")
_TIMESTAMP, _DATE_OID, _TIMESTAMPTZ, _INTERVAL, _JSON, _JSONB = 1114, 1082, 1184, 1186, 114, 3802


class FarMoment(datetime):
    """A moment outside of Python's years 1 to 9999, or an infinite one. Compares as the last (first) moment
    Python has, keeps the database's words for people, and is as far from other moments as it is (`seconds`
    since 1970, to a day or so).
    """

    text: str
    seconds: float

    @classmethod
    def read(cls, text: str) -> "FarMoment":
        """The moment that the database writes so; ValueError where it is none."""
        seconds = _seconds(text)
        made = cls(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) if seconds > 0 else cls(1, 1, 1, tzinfo=UTC)
        made.text, made.seconds = text, seconds
        return made

    def isoformat(self, *_: Any, **__: Any) -> str:
        return self.text

    def strftime(self, _: str) -> str:
        return self.text

    def astimezone(self, *_: Any, **__: Any) -> "FarMoment":
        return self

    def __str__(self) -> str:
        return self.text

    def __sub__(self, other: Any) -> Any:
        return Distance.of(self.seconds - _since_1970(other)) if isinstance(other, datetime) else self

    def __rsub__(self, other: Any) -> Any:
        return Distance.of(_since_1970(other) - self.seconds)

    def __add__(self, _: Any) -> Any:
        return self

    def __copy__(self) -> "FarMoment":
        return self

    def __deepcopy__(self, _: Any) -> "FarMoment":
        return self


class Distance(timedelta):
    """A difference with a far moment: any number of seconds, infinity among them."""

    seconds_in_all: float

    @classmethod
    def of(cls, seconds: float) -> "Distance":
        made = cls(seconds=max(-8.6e13, min(8.6e13, 0.0 if math.isnan(seconds) else seconds)))
        made.seconds_in_all = 0.0 if math.isnan(seconds) else seconds
        return made

    def total_seconds(self) -> float:
        return self.seconds_in_all

    def __str__(self) -> str:
        return f"{self.seconds_in_all:g} s"


def read_document(text: str) -> Any:
    """A document as Python has it; as the text it is where it is deeper than DEEPEST; numbers too long for
    Python as their digits.
    """
    if _depth(text) > DEEPEST:
        return text
    try:
        return json.loads(text, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError):
        return text


def printable(value: Any) -> Any:
    """The same where JSON has words for it; infinite and undefined numbers are null there."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [printable(each) for each in value]
    return value


def register(connection: extensions.connection) -> None:
    """From now on nothing that this connection reads raises for being unusual."""
    for oids, name, usual, unusual in (
        ((_TIMESTAMPTZ,), "rowlock_moment", extensions.PYDATETIMETZ, FarMoment.read),
        ((_TIMESTAMP,), "rowlock_local_moment", extensions.PYDATETIME, FarMoment.read),
        ((_DATE_OID,), "rowlock_date", extensions.PYDATE, FarMoment.read),
        ((_INTERVAL,), "rowlock_interval", extensions.PYINTERVAL, str),
    ):
        extensions.register_type(extensions.new_type(oids, name, _either(usual, unusual)), connection)
    document = extensions.new_type(
        (_JSON, _JSONB),
        "rowlock_document",
        lambda text, _: None if text is None else read_document(str(text)),
    )
    extensions.register_type(document, connection)


def _either(usual: Callable[..., Any], unusual: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    """As psycopg2 reads it, and where it cannot, as we do, at last as text."""

    def cast(text: Any, cursor: Any) -> Any:
        if text is None:
            return None
        if "infinity" in text and unusual is not str:
            return unusual(text)
        try:
            return usual(text, cursor)
        except (ValueError, OverflowError, ArithmeticError):
            try:
                return unusual(text)
            except ValueError:
                return text

    return cast


def _seconds(text: str) -> float:
    if text in ("infinity", "-infinity"):
        return float(text)
    found = _DATE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a moment")
    year, month, day = (int(part) for part in found.groups())
    if text.endswith(" BC"):
        year = 1 - year
    return float((year - 1970) * _YEAR_SECONDS + ((month - 1) * 30.44 + day - 1) * 86_400)


def _since_1970(moment: datetime) -> float:
    if isinstance(moment, FarMoment):
        return moment.seconds
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _depth(text: str) -> int:
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    deepest = level = 0
    for character in re.findall(r"[][{}]", _STRING.sub("", text)):
        level += 1 if character in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _float(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else digits
