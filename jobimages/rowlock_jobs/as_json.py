"""Python values as JSON text that PostgreSQL can keep. Pure.

What JSON has no word for becomes text as PostgreSQL would write it, so that a value looks the same in a
result as in the arguments that a row gives: nothing is lost. What cannot be told without a loss is refused.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import json
import math
import pathlib
import re
import uuid
from collections.abc import Iterable, Mapping, MutableSequence, Sequence, Set, ValuesView
from typing import Any

DEEPEST = 500  # brackets in each other; jsonb's own limit depends on the server's stack

_TEXTS = (
    collections.UserString,
    decimal.Decimal,
    uuid.UUID,
    datetime.timedelta,
    fractions.Fraction,
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
_LISTS = (Sequence, MutableSequence, Set, ValuesView)
_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
_NO_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[^][{}"]+')


class NotJson(ValueError):
    """A value has no JSON text; `reason` is CamelCase: NotJson, or NotStorable where PostgreSQL has no place
    for it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def as_json(value: Any) -> str:
    """ASCII. Raises NotJson, MemoryError, and whatever methods of the value's own classes raise."""
    try:
        text = json.dumps(value, allow_nan=False, default=_plain)
    except NotJson:
        raise
    except (TypeError, ValueError, RecursionError):  # a key that is no text, a number that is none, a circle
        text = _slowly(value)
    _check_characters(text)
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(text):
        raise NotJson("NotStorable", f"it is nested deeper than {DEEPEST} brackets")
    return text


def _slowly(value: Any) -> str:
    try:
        return json.dumps(_walk(value), allow_nan=False)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("NotJson", "it is nested too deep, or holds itself (recursion)") from None
    except (TypeError, ValueError) as error:
        raise NotJson("NotJson", str(error)) from None


def _walk(value: Any) -> Any:
    """A value of plain kinds alone."""
    if value is None or isinstance(value, str | int):  # int: also bool
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        plain = {_key(key): _walk(each) for key, each in value.items()}
        if len(plain) != len(value):
            raise NotJson("NotJson", "two of its keys are the same text")
        return plain
    if isinstance(value, list | tuple):
        return [_walk(each) for each in value]
    return _walk(_plain(value))


def _key(key: Any) -> Any:
    if isinstance(key, float):
        key = _number(key)
    elif not (key is None or isinstance(key, str | int)):
        key = _plain(key)
    if not (key is None or isinstance(key, str | int | float)):
        raise NotJson("NotJson", f"a key is of type {type(key).__name__}")
    return key


def _number(value: float) -> float | str:
    """NaN and the infinities as PostgreSQL names them."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plain(value: Any) -> Any:
    """A value that json does not know, one step nearer to what it knows."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, _TEXTS):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, _LISTS):
        return _in_order(value)
    if (
        type(value).__module__.partition(".")[0] == "numpy"
    ):  # a number or an array of a library that need not be here
        return value.tolist()
    if callable(dump := getattr(type(value), "model_dump", None)):  # pydantic's
        return dump(value, mode="json")
    kind = type(value)
    raise NotJson(
        "NotJson", f"an object of type {kind.__module__}.{kind.__qualname__} is not JSON serializable"
    )


def _in_order(values: Iterable[Any]) -> list[Any]:
    if not isinstance(values, Set):
        return list(values)
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _check_characters(text: str) -> None:
    if "\\u0000" not in text and "\\ud" not in text:
        return
    escapes = text.replace("\\\\", "")  # a backslash that is meant as one begins no escape
    if "\\u0000" in escapes:
        raise NotJson("NotStorable", "a text of it holds a NUL character")
    if re.search(r"\\ud[89a-f]", _PAIR.sub("", escapes)):
        raise NotJson("NotStorable", "a text of it holds half a character (a lone surrogate)")


def _is_deep(text: str) -> bool:
    brackets = _NO_BRACKETS.sub("", text)
    for _ in range(DEEPEST):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "").replace("{}", "")
    return bool(brackets)
