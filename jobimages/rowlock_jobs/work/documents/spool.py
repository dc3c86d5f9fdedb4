"""Keeps the texts of pages until all are read, in memory while they are small and in a nameless file
beyond.
"""

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType

_IN_MEMORY_BYTES = 8 * 1024 * 1024


class TextSpool:
    """Extraction takes seconds, so it happens before the transaction: a transaction open that long would hold
    back VACUUM for everybody.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            max_size=_IN_MEMORY_BYTES, mode="w+", encoding="ascii"
        )

    def append(self, text: str) -> None:
        json.dump(text, self._file)
        self._file.write("\n")

    def __iter__(self) -> Iterator[str]:
        """All texts from the first, in order; do not append meanwhile."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)

    def __enter__(self) -> "TextSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
