"""Which files a storage address may reach, and which of them are refused unread."""

import os
from pathlib import Path

import pytest

from rowlock_jobs.task import InputError
from rowlock_jobs.work.documents.files import open_document
from rowlock_jobs.work.documents.limits import DocumentLimits, limits_from
from tests.unit.work.written_pdf import written_pdf

PDF = written_pdf(["some text"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "documents"
    (inside / "7").mkdir(parents=True)
    (inside / "7" / "a b.pdf").write_bytes(PDF)
    (tmp_path / "secret.pdf").write_bytes(PDF)
    return inside


def opened(storage_url: str, folder: Path, **limits: int) -> bytes:
    with open_document(storage_url, DocumentLimits(folder=folder, **limits)) as file:
        return file.read()


def reason(storage_url: str, folder: Path, **limits: int) -> str:
    with pytest.raises(InputError) as refusal:
        opened(storage_url, folder, **limits)
    assert str(refusal.value)
    return str(refusal.value.reason)


@pytest.mark.parametrize(
    "address",
    [
        "7/a b.pdf",
        "{folder}/7/a b.pdf",
        "file://{folder}/7/a%20b.pdf",
        "file://localhost{folder}/7/a b.pdf",
        "7/../7/a b.pdf",
    ],
)
def test_a_file_in_the_folder_is_found_by_any_form_of_its_address(address: str, folder: Path) -> None:
    assert opened(address.format(folder=folder), folder) == PDF


@pytest.mark.parametrize(
    "address",
    [
        "../secret.pdf",
        "{folder}/../secret.pdf",
        "file://{folder}/%2e%2e/secret.pdf",
        "7/../../secret.pdf",
        "/etc/passwd",
        "file:///etc/passwd",
        "a\0b",
    ],
)
def test_an_address_out_of_the_folder_is_refused(address: str, folder: Path) -> None:
    assert reason(address.format(folder=folder), folder) == "NotAllowed"


@pytest.mark.parametrize(
    "address", ["link.pdf", "linked/secret.pdf", "circle.pdf"], ids=["to a file", "to a folder", "to itself"]
)
def test_a_symbolic_link_does_not_lead_out_of_the_folder(address: str, folder: Path) -> None:
    (folder / "link.pdf").symlink_to(folder.parent / "secret.pdf")
    (folder / "linked").symlink_to(folder.parent, target_is_directory=True)
    (folder / "circle.pdf").symlink_to(folder / "circle.pdf")
    assert reason(address, folder) == "NotAllowed"


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "newest.pdf").symlink_to("7/a b.pdf")
    assert opened("newest.pdf", folder) == PDF


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a.pdf",
        "https://user:word@example.org/a.pdf?signature=abc",
        "HTTP://example.org/a.pdf",
        "file://host/a.pdf",
        "http://[x",
    ],
)
def test_other_stores_are_refused_without_repeating_what_the_address_may_hold(
    address: str, folder: Path
) -> None:
    with pytest.raises(InputError) as refusal:
        opened(address, folder)
    assert refusal.value.reason == "StorageNotSupported"
    assert "word" not in str(refusal.value)
    assert "abc" not in str(refusal.value)


@pytest.mark.parametrize("address", ["7/none.pdf", "7/a b.pdf/more", "", "  "])
def test_a_file_that_is_not_there_is_missing(address: str, folder: Path) -> None:
    assert reason(address, folder) == "Missing"


def test_a_folder_and_a_pipe_are_refused_without_waiting_for_a_writer(folder: Path) -> None:
    os.mkfifo(folder / "pipe.pdf")
    assert reason("7", folder) == "NotAllowed"
    assert reason("pipe.pdf", folder) == "NotAllowed"


def test_a_missing_folder_is_the_volumes_fault_and_not_the_documents(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is its volume mounted"):
        opened("a.pdf", tmp_path / "none")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "Empty"),
        (b"a letter", "NotPdf"),
        (PDF[: len(PDF) * 6 // 10], "Truncated"),
        (PDF + b" " * 5_000, "TooLarge"),
    ],
    ids=["zero bytes", "no PDF", "cut off", "above the limit"],
)
def test_a_file_that_cannot_be_a_whole_pdf_is_refused_by_its_own_reason(
    data: bytes, expected: str, folder: Path
) -> None:
    (folder / "x.pdf").write_bytes(data)
    assert reason("x.pdf", folder, max_bytes=5_000) == expected


def test_limits_come_from_the_environment_and_a_wrong_one_is_named() -> None:
    assert limits_from({}) == DocumentLimits(
        folder=Path("/data/documents"), max_bytes=104_857_600, max_pages=5_000
    )
    assert limits_from({"ROWLOCK_DOCUMENTS_DIR": "/d", "ROWLOCK_DOCUMENT_MAX_PAGES": "7"}) == DocumentLimits(
        folder=Path("/d"), max_pages=7
    )
    with pytest.raises(ValueError, match="ROWLOCK_DOCUMENT_MAX_BYTES is '1MB'"):
        limits_from({"ROWLOCK_DOCUMENT_MAX_BYTES": "1MB"})
