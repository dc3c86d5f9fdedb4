"""Splitting text: pure."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_jobs.work.documents.chunks import chunks_of, split, storable


@given(
    st.text(max_size=400),
    st.integers(2, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
def test_windows_cover_the_text_and_share_exactly_the_overlap(text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    pieces = list(split(text, size=size, overlap=overlap))
    assert "".join(piece if i == 0 else piece[overlap:] for i, piece in enumerate(pieces)) == text
    assert all(0 < len(piece) <= size for piece in pieces)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(
        before[size - overlap :] == after[:overlap] for before, after in zip(pieces, pieces[1:], strict=False)
    )


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, []), (1, [1]), (3000, [3000]), (3001, [3000, 501]), (5500, [3000, 3000]), (5501, [3000, 3000, 501])],
    ids=["empty", "one letter", "exactly one window", "one more", "exactly two windows", "one more than two"],
)
def test_windows_have_3000_characters_of_which_500_are_shared(length: int, expected: list[int]) -> None:
    assert [len(piece) for piece in split("x" * length)] == expected


def test_an_overlap_as_long_as_the_window_is_refused_instead_of_looping_for_ever() -> None:
    with pytest.raises(ValueError, match="overlap 5"):
        list(split("abcdefghij", size=5, overlap=5))


def test_the_same_text_on_two_pages_is_two_chunks_with_numbers_through_the_document() -> None:
    found = list(chunks_of(["same text here", "", "same text here", " \n\t "]))
    assert [(chunk.page, chunk.index, chunk.token_count) for chunk in found] == [(1, 0, 3), (3, 1, 3)]
    assert {chunk.content_sha for chunk in found} == {hashlib.sha256(b"same text here").hexdigest()}


@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_becomes_one_that_postgresql_can_store(text: str) -> None:
    clean = storable(text)
    assert "\0" not in clean
    clean.encode("utf-8")
    assert storable(clean) == clean


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\0b", "ab"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("compre\x02\r\nhension", "comprehension"),
        ("compre\ufffe\r\nhension", "comprehension"),
        ("a\r\nb\rc\td", "a\nb\nc\td"),
    ],
    ids=["NUL", "lone surrogate", "pair of surrogates", "hyphen mark", "other hyphen mark", "line ends"],
)
def test_what_pdfium_may_hand_out_is_made_readable(raw: str, expected: str) -> None:
    assert storable(raw) == expected
