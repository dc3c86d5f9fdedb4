"""What the task reads and writes in the database; the statements are in sql/."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from rowlock_jobs.work.documents.chunks import Chunk
from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_jobs.work.documents", "sql/documents.sql")
_CHUNKS_A_STATEMENT = 200


class Cursor(Protocol):
    def execute(self, query: str, vars: dict[str, object] | None = None) -> object: ...  # noqa: A002 - the driver's own name
    def fetchone(self) -> tuple[object, ...] | None: ...


@dataclass(frozen=True, kw_only=True)
class Document:
    id: str
    storage_url: str
    version: str
    """Changes with each write to the row: a verdict over an older version is not written."""


def read_document(cur: Cursor, document_id: str) -> Document | None:
    """The document, or None where there is no such row (any more)."""
    cur.execute(_SQL["read_document"], {"document_id": document_id})
    row = cur.fetchone()
    if row is None:
        return None
    return Document(id=document_id, storage_url=str(row[0] or ""), version=str(row[1]))


def replace_chunks(cur: Cursor, document_id: str, *, pages: int, chunks: Iterable[Chunk]) -> int | None:
    """Makes the document ready with exactly these chunks and returns their number; None, and nothing written,
    where the row is gone.
    """
    cur.execute(_SQL["make_ready"], {"document_id": document_id, "pages": pages})
    if cur.fetchone() is None:
        return None
    cur.execute(_SQL["delete_chunks"], {"document_id": document_id})
    count = 0
    for batch in _batches(chunks):
        count += len(batch)
        cur.execute(
            _SQL["insert_chunks"],
            {
                "document_id": document_id,
                "pages": [chunk.page for chunk in batch],
                "indexes": [chunk.index for chunk in batch],
                "contents": [chunk.content for chunk in batch],
                "token_counts": [chunk.token_count for chunk in batch],
                "shas": [chunk.content_sha for chunk in batch],
            },
        )
    return count


def refuse_document(cur: Cursor, document: Document, message: str) -> bool:
    """Notes why the document cannot be read. False where the row has changed since it was read: then somebody
    knows better.
    """
    cur.execute(
        _SQL["refuse_document"], {"document_id": document.id, "version": document.version, "message": message}
    )
    return cur.fetchone() is not None


def _batches(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    rest = iter(chunks)
    while batch := list(islice(rest, _CHUNKS_A_STATEMENT)):
        yield batch
