"""Reading pages, and what PDFium cannot read."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rowlock_jobs.task import InputError
from rowlock_jobs.work.documents.limits import DocumentLimits
from rowlock_jobs.work.documents.pdf import open_pdf
from rowlock_jobs.work.documents.spool import TextSpool
from tests.unit.work.written_pdf import written_pdf
from tools.inputs.broken import damaged, encrypted, images_only, partly_scanned

TEXTS = ["first page\nsecond line", "", "third page (with brackets)"]


def texts(data: bytes, **limits: Any) -> list[str]:
    with open_pdf(io.BytesIO(data), replace(DocumentLimits(), **limits)) as pdf:
        return [pdf.text(number) for number in range(1, pdf.page_count + 1)]


def reason(data: bytes, **limits: int) -> str:
    with pytest.raises(InputError) as refusal:
        texts(data, **limits)
    return str(refusal.value.reason)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.pdf"
    path.write_bytes(written_pdf([*TEXTS, *("more " * 300 for _ in range(3))]))
    return path


def test_pages_come_in_order_with_their_text() -> None:
    assert [text.strip() for text in texts(written_pdf(TEXTS))] == TEXTS


def test_one_page_more_than_allowed_is_too_large() -> None:
    assert len(texts(written_pdf(TEXTS), max_pages=3)) == 3
    assert reason(written_pdf(TEXTS), max_pages=2) == "TooLarge"


def test_more_text_than_allowed_is_too_large_though_the_file_is_small() -> None:
    assert reason(written_pdf(["x" * 500] * 20), max_characters=5_000) == "TooLarge"
    assert len(texts(written_pdf(["x" * 500] * 20), max_characters=11_000)) == 20


def test_a_pdf_without_pages_is_damaged() -> None:
    assert reason(written_pdf([])) == "Damaged"


def test_a_password_is_asked_for(source: Path, tmp_path: Path) -> None:
    encrypted(source, tmp_path / "x.pdf")
    assert reason((tmp_path / "x.pdf").read_bytes()) == "Encrypted"


def test_noise_between_a_right_beginning_and_a_right_end_is_damaged(source: Path, tmp_path: Path) -> None:
    damaged(source, tmp_path / "x.pdf")
    assert reason((tmp_path / "x.pdf").read_bytes()) == "Damaged"


def test_pictures_of_pages_have_no_text(source: Path, tmp_path: Path) -> None:
    images_only(source, tmp_path / "x.pdf")
    assert [text.strip() for text in texts((tmp_path / "x.pdf").read_bytes())] == ["", "", ""]


def test_an_empty_page_before_real_ones_moves_their_numbers(source: Path, tmp_path: Path) -> None:
    partly_scanned(source, tmp_path / "x.pdf")
    found = texts((tmp_path / "x.pdf").read_bytes())
    assert [text.strip() for text in found[:2]] == ["", TEXTS[0]]


def test_texts_come_out_of_the_spool_as_they_went_in_also_beyond_its_memory() -> None:
    inputs = ["", "line\nbreak", "\N{GRINNING FACE}\u2028end"] + ["x" * 100_000] * 100
    with TextSpool() as spool:
        for text in inputs:
            spool.append(text)
        assert list(spool) == inputs
        assert list(spool) == inputs, "a second reading begins at the first text again"
