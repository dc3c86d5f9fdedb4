"""Reading an answer within bounds: bytes, and time from its first byte to its last."""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator


class AnswerTooLong(Exception):
    """The answer goes on beyond `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"longer than {max_bytes:,} bytes")


class AnswerTooSlow(Exception):
    """The answer was not complete after `max_seconds`, though each of its pieces came in time."""

    def __init__(self, max_seconds: float) -> None:
        super().__init__(f"not complete after {max_seconds:g} s")


class NotUnpackable(Exception):
    """The body is not what its Content-Encoding says."""


def bounded(
    pieces: Iterable[bytes],
    *,
    max_bytes: int,
    max_seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """The same pieces, as long as they stay within the bounds; `max_seconds` None does not bound the time.

    Raises AnswerTooLong and AnswerTooSlow in place of the piece that goes beyond.
    """
    left, started = max_bytes, clock()
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise AnswerTooLong(max_bytes)
        if max_seconds is not None and clock() - started > max_seconds:
            raise AnswerTooSlow(max_seconds)
        yield piece


def gunzipped(body: bytes, *, max_bytes: int) -> bytes:
    """A gzip body, unpacked to at most `max_bytes`. Raises AnswerTooLong, NotUnpackable."""
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise NotUnpackable from error
    if len(unpacked) > max_bytes:
        raise AnswerTooLong(max_bytes)
    return unpacked
