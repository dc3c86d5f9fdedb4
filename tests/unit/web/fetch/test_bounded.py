"""An answer is read within its bounds, and not a piece further."""

import gzip
from collections.abc import Iterator

import pytest

from rowlock_web.fetch.bounded import AnswerTooLong, AnswerTooSlow, NotUnpackable, bounded, gunzipped


def test_an_answer_as_long_as_the_bound_is_read_whole() -> None:
    assert b"".join(bounded([b"ab", b"cd"], max_bytes=4)) == b"abcd"


def test_reading_ends_with_the_piece_that_goes_beyond() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 10

    with pytest.raises(AnswerTooLong, match="longer than 25 bytes"):
        b"".join(bounded(endless(), max_bytes=25))
    assert len(taken) == 3


def test_an_answer_that_only_drips_is_given_up() -> None:
    now = iter(range(100))
    with pytest.raises(AnswerTooSlow, match="not complete after 5 s"):
        b"".join(bounded([b"x"] * 50, max_bytes=100, max_seconds=5, clock=lambda: float(next(now))))


def test_without_a_bound_of_time_the_clock_does_not_matter() -> None:
    now = iter(range(100))
    pieces = bounded([b"x"] * 50, max_bytes=100, clock=lambda: float(next(now)))
    assert b"".join(pieces) == b"x" * 50


def test_a_packed_answer_is_bounded_by_what_it_unpacks_to() -> None:
    packed = gzip.compress(b"x" * 1000)
    assert gunzipped(packed, max_bytes=1000) == b"x" * 1000
    with pytest.raises(AnswerTooLong):
        gunzipped(packed, max_bytes=999)


def test_what_is_not_packed_is_not_unpackable() -> None:
    with pytest.raises(NotUnpackable):
        gunzipped(b"plain", max_bytes=100)
