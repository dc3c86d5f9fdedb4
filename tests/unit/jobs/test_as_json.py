"""Values of tasks as JSON that PostgreSQL can keep: nothing is lost, or it is refused."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowlock_jobs.as_json import DEEPEST, NotJson, as_json

ID = uuid.UUID("01a206a9-693f-7ce0-93cb-cfb87fa51e52")
UTC = datetime.UTC


class Color(enum.Enum):
    RED = "red"
    RAW = b"\x01"


class Size(enum.IntEnum):
    BIG = 3


class Word(enum.StrEnum):
    YES = "yes"


@dataclasses.dataclass
class Point:
    x: int
    at: Any


class Model:
    """As pydantic's models."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        return {"mode": mode}


class Book(collections.UserDict[str, int]):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(days=-1, seconds=3), "-1 day, 0:00:03"),
        (decimal.Decimal("1.10"), "1.10"),
        (decimal.Decimal("NaN"), "NaN"),
        (ID, str(ID)),
        (Color.RED, "red"),
        (Color.RAW, "\\x01"),
        (Size.BIG, 3),
        (Word.YES, "yes"),
        (b"\x00\xff", "\\x00ff"),
        (bytearray(b"a"), "\\x61"),
        (memoryview(b"a"), "\\x61"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset(["b", "a"]), ["a", "b"]),
        (Point(1, Point(2, ID)), {"x": 1, "at": {"x": 2, "at": str(ID)}}),
        (collections.namedtuple("Pair", "a b")(1, 2), [1, 2]),
        (collections.deque([1]), [1]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.UserString("a"), "a"),
        (Book(a=1), {"a": 1}),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        (range(3), [0, 1, 2]),
        (array.array("i", [1]), [1]),
        (pathlib.Path("/a/b"), "/a/b"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (float("nan"), "NaN"),
        ([float("inf"), float("-inf")], ["Infinity", "-Infinity"]),
        (
            {ID: 1, Color.RED: 2, 3: 4, None: 5, True: 6, 1.5: 7},
            {str(ID): 1, "red": 2, "3": 4, "null": 5, "true": 6, "1.5": 7},
        ),
        (
            {datetime.date(2026, 1, 2): {"deep": [float("nan"), {ID: {Color.RED}}]}},
            {"2026-01-02": {"deep": ["NaN", {str(ID): ["red"]}]}},
        ),
        (Model(), {"mode": "json"}),
        ("\\u0000 \\ud800", "\\u0000 \\ud800"),  # backslashes, no escapes
        ("\U0001f600\\", "\U0001f600\\"),
    ],
)
def test_a_known_kind_becomes_text_as_postgresql_writes_it(value: Any, expected: Any) -> None:
    assert json.loads(as_json({"a": [value]})) == {"a": [expected]}


def _circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def _nested(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (object(), "NotJson", "builtins.object is not JSON serializable"),
        (Point, "NotJson", "not JSON serializable"),
        ((n for n in [1]), "NotJson", "generator"),
        (1j, "NotJson", "complex"),
        ({(1, 2): 3}, "NotJson", "a key is of type list"),
        ({ID: 1, str(ID): 2}, "NotJson", "two of its keys are the same text"),
        (_circle(), "NotJson", "holds itself"),
        (_nested(100_000), "NotJson", "nested too deep"),
        (_nested(DEEPEST + 50), "NotStorable", "nested deeper"),
        ([10**5000], "NotJson", "digits"),
        ("a\x00b", "NotStorable", "NUL"),
        ({"a\x00": 1}, "NotStorable", "NUL"),
        ("\\\x00", "NotStorable", "NUL"),
        ("\ud800", "NotStorable", "half a character"),
        ("\udc00\ud800", "NotStorable", "half a character"),
        ("\ud800\U0001f600", "NotStorable", "half a character"),
    ],
)
def test_what_cannot_be_told_without_a_loss_is_refused(value: Any, reason: str, words: str) -> None:
    with pytest.raises(NotJson, match=words) as refused:
        as_json({"a": value})
    assert refused.value.reason == reason


def test_many_brackets_beside_each_other_are_not_deep() -> None:
    assert as_json([[[]]] * 1000)
    assert as_json({"text": "[{" * 1000})


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None), max_size=20))
def test_a_text_is_kept_as_it_is_or_refused(text: str) -> None:
    try:
        assert json.loads(as_json(text)) == text
        text.encode()
        assert "\x00" not in text
    except NotJson:
        assert "\x00" in text or any(0xD800 <= ord(letter) < 0xE000 for letter in text)
