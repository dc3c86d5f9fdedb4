"""What a document may cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DocumentLimits:
    folder: Path = Path("/data/documents")
    """Only files in this folder are read (ROWLOCK_DOCUMENTS_DIR)."""
    max_bytes: int = 100 * 1024 * 1024
    """Size of the file (ROWLOCK_DOCUMENT_MAX_BYTES); uploads were meant to end here and never did."""
    max_pages: int = 5_000
    """Pages (ROWLOCK_DOCUMENT_MAX_PAGES); a page costs about 2 ms."""
    max_characters: int = 50_000_000
    """Extracted text (ROWLOCK_DOCUMENT_MAX_CHARACTERS): a small file may unpack to any size."""


def limits_from(environment: Mapping[str, str]) -> DocumentLimits:
    """Reads the ROWLOCK_DOCUMENT* variables. ValueError, naming the variable, for a number that is none."""
    default = DocumentLimits()
    return DocumentLimits(
        folder=Path(environment.get("ROWLOCK_DOCUMENTS_DIR") or default.folder),
        max_bytes=_positive(environment, "ROWLOCK_DOCUMENT_MAX_BYTES", default.max_bytes),
        max_pages=_positive(environment, "ROWLOCK_DOCUMENT_MAX_PAGES", default.max_pages),
        max_characters=_positive(environment, "ROWLOCK_DOCUMENT_MAX_CHARACTERS", default.max_characters),
    )


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"{name} is {text!r}; it must be a whole number above zero")
    return int(text)
