"""What a task prints and logs is cut at a bound for each run: a loop that prints must not drown the logs of a
whole node.
"""

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO

LIMIT_CHARACTERS = 10_000_000


class BoundedOutput(io.TextIOBase):
    """A text stream that drops what a run writes above the bound. Programs that the task starts write past
    it, to the container's log.
    """

    def __init__(self, stream: TextIO, limit_characters: int = LIMIT_CHARACTERS) -> None:
        self._stream, self._limit, self._left = stream, limit_characters, limit_characters

    def begin(self) -> None:
        """A new run."""
        self._left = self._limit

    def end(self) -> None:
        """Says how much was dropped, and passes everything on. Never raises: a log that is closed or full is
        not the run's failure.
        """
        with suppress(OSError, ValueError):
            if self._left < 0:
                self._stream.write(
                    f"\n[{-self._left} characters of this run's output were dropped: {self._limit} are"
                    " kept]\n"
                )
            self._stream.flush()

    def write(self, text: str) -> int:
        kept = text if len(text) <= self._left else text[: max(0, self._left)]
        self._left -= len(text)
        if kept:
            self._stream.write(kept)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def buffer(self) -> io.BufferedIOBase:
        """For bytes: not counted."""
        return self._stream.buffer  # type: ignore[return-value]

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def bound_output() -> list[BoundedOutput]:
    """Puts both standard streams of this process behind a bound."""
    before = sys.stderr
    sys.stdout, sys.stderr = out, err = BoundedOutput(sys.stdout), BoundedOutput(before)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is before:
            handler.setStream(err)
    return [out, err]
