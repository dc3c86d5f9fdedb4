"""Splits the text of pages into overlapping chunks. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHUNK_CHARACTERS = 3_000
OVERLAP_CHARACTERS = 500

# PDFium marks a hyphen at the end of a line as U+0002 (or U+FFFE): the word goes on in the next line.
_BROKEN_WORD = re.compile("[\x02\ufffe]\r?\n?")
# PostgreSQL stores no NUL; the other control characters carry nothing a reader or a search could use.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    page: int
    """Counted from 1, as readers do."""
    index: int
    """Position in the whole document, so that the same text on two pages is two chunks."""
    content: str
    token_count: int
    """Words, as white space separates them."""
    content_sha: str


def storable(text: str) -> str:
    """Text that PostgreSQL takes: no NUL, no lone surrogate; words broken at the end of a line are whole
    again.
    """
    whole = _CONTROL.sub("", _BROKEN_WORD.sub("", text)).replace("\r\n", "\n").replace("\r", "\n")
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def split(text: str, *, size: int = CHUNK_CHARACTERS, overlap: int = OVERLAP_CHARACTERS) -> Iterator[str]:
    """Windows of `size` characters, each beginning `overlap` characters before the end of the one before;
    nothing for an empty text.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"overlap {overlap} must be at least 0 and below the size {size}")
    start = 0
    while start < len(text):
        yield text[start : start + size]
        if start + size >= len(text):
            return
        start += size - overlap


def chunks_of(page_texts: Iterable[str]) -> Iterator[Chunk]:
    """The chunks of a document from the texts of its pages in order. A chunk never spans two pages, so that a
    hit has one page number.
    """
    index = 0
    for page, text in enumerate(page_texts, start=1):
        for content in split(text):
            if not content.strip():
                continue
            digest = hashlib.sha256(content.encode()).hexdigest()
            yield Chunk(
                page=page, index=index, content=content, token_count=len(content.split()), content_sha=digest
            )
            index += 1
