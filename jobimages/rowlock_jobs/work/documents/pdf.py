"""Reads the text of a PDF page by page. PDFium is not thread-safe: one document at a time in a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium

from rowlock_jobs.task import InputError
from rowlock_jobs.work.documents.chunks import storable
from rowlock_jobs.work.documents.limits import DocumentLimits

_NEEDS_PASSWORD = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)


class OpenPdf:
    """A document that PDFium could open; `text` holds one page in memory at a time."""

    def __init__(self, document: pypdfium2.PdfDocument, limits: DocumentLimits) -> None:
        self._document = document
        self._characters_left = limits.max_characters
        self.page_count = len(document)
        if self.page_count > limits.max_pages:
            raise InputError(
                "TooLarge", f"the PDF has {self.page_count:,} pages; at most {limits.max_pages:,} are allowed"
            )
        if self.page_count == 0:
            raise InputError("Damaged", "the PDF has no pages")

    def text(self, number: int) -> str:
        """The text of page `number` (from 1), fit to be stored. InputError Damaged, TooLarge."""
        try:
            page = self._document[number - 1]
        except pypdfium2.PdfiumError as error:
            raise InputError(
                "Damaged", f"page {number} of {self.page_count} cannot be read; export the PDF anew"
            ) from error
        try:
            text_page = page.get_textpage()
            try:
                self._characters_left -= text_page.count_chars()
                if self._characters_left < 0:
                    raise InputError(
                        "TooLarge",
                        f"the PDF holds more text than is allowed (reached on page {number} of"
                        f" {self.page_count})",
                    )
                # Not get_text_range: that one knows no characters beyond U+FFFF.
                return storable(text_page.get_text_bounded())
            finally:
                text_page.close()
        except pypdfium2.PdfiumError as error:
            raise InputError(
                "Damaged",
                f"the text of page {number} of {self.page_count} cannot be read; export the PDF anew",
            ) from error
        finally:
            page.close()


@contextmanager
def open_pdf(file: BinaryIO, limits: DocumentLimits) -> Iterator[OpenPdf]:
    """InputError Encrypted (needs a password to be read), Damaged, TooLarge (pages)."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _NEEDS_PASSWORD:
            raise InputError(
                "Encrypted", "the PDF asks for a password; save it without one and upload it again"
            ) from error
        raise InputError(
            "Damaged", "the PDF cannot be opened: its structure is damaged; export it anew"
        ) from error
    try:
        yield OpenPdf(document, limits)
    finally:
        document.close()
