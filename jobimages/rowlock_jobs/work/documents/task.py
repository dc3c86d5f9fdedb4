"""The task `process_document`: the text of an uploaded PDF becomes chunks that can be searched."""

import os
from dataclasses import dataclass, field
from typing import BinaryIO
from uuid import UUID

from rowlock_jobs.task import InputError, Run, task
from rowlock_jobs.work.documents.chunks import chunks_of
from rowlock_jobs.work.documents.files import open_document
from rowlock_jobs.work.documents.limits import DocumentLimits, limits_from
from rowlock_jobs.work.documents.pdf import open_pdf
from rowlock_jobs.work.documents.spool import TextSpool
from rowlock_jobs.work.documents.store import Document, read_document, refuse_document, replace_chunks

_PAGES_NAMED = 50


@dataclass
class _Reading:
    pages: int = 0
    without_text: list[int] = field(default_factory=list)


@task("process_document")
def process_document(run: Run) -> dict[str, object]:
    """Ingests one document. Arguments: `document_id` (uuid); `job_id` is the ingest row, whose status the
    RowSource itself writes.

    The result: pages, pages without text (their number, and the first 50), chunks. May be repeated: each time
    all chunks are replaced.
    """
    document = _read(run, _document_id(run.args.get("document_id")))
    try:
        return _ingest(run, document, limits_from(os.environ))
    except InputError as refusal:
        with run.connection() as connection, connection.cursor() as cur:
            refuse_document(cur, document, str(refusal))
        raise


def _document_id(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError as error:
        raise InputError("BadArguments", "process_document needs the argument document_id, a uuid") from error


def _read(run: Run, document_id: str) -> Document:
    with run.connection() as connection, connection.cursor() as cur:
        document = read_document(cur, document_id)
    if document is None:
        raise _gone(document_id)
    return document


def _gone(document_id: str) -> InputError:
    return InputError(
        "DocumentGone", f"there is no document {document_id} in workshop_documents; it was probably deleted"
    )


def _ingest(run: Run, document: Document, limits: DocumentLimits) -> dict[str, object]:
    with TextSpool() as spool:
        with open_document(document.storage_url, limits) as file:
            reading = _extract(run, file, spool, limits)
        if len(reading.without_text) == reading.pages:
            raise InputError(
                "NoText", f"no text found on any of {reading.pages} pages; OCR is not supported yet"
            )
        with run.transaction() as cur:
            count = replace_chunks(cur, document.id, pages=reading.pages, chunks=chunks_of(spool))
    if count is None:
        raise _gone(document.id)
    named = reading.without_text[:_PAGES_NAMED]
    return {
        "pages": reading.pages,
        "pages_without_text": named,
        "pages_without_text_count": len(reading.without_text),
        "chunks": count,
    }


def _extract(run: Run, file: BinaryIO, spool: TextSpool, limits: DocumentLimits) -> _Reading:
    with open_pdf(file, limits) as pdf:
        reading = _Reading(pages=pdf.page_count)
        for number in range(1, pdf.page_count + 1):
            run.check()
            text = pdf.text(number)
            if not text.strip():
                reading.without_text.append(number)
            spool.append(text)
            run.progress(done=number, total=pdf.page_count)
    return reading
