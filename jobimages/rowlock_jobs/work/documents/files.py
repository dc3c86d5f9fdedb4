"""Finds and opens the file behind a document's storage address, inside one folder only."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from rowlock_jobs.task import InputError
from rowlock_jobs.work.documents.limits import DocumentLimits

_HEADER = b"%PDF-"
_END = b"%%EOF"
_HEADER_WITHIN_BYTES = 1024
_END_WITHIN_BYTES = 2048


def local_path(storage_url: str, folder: Path) -> Path:
    """The path a storage address means: `file://`, an absolute path, or a path relative to the folder.

    InputError StorageNotSupported for other stores, NotAllowed for a path out of the folder (also by `..` or
    a symbolic link), Missing.
    """
    try:
        address = urlsplit(storage_url) if "://" in storage_url else None
    except ValueError as error:
        raise InputError(
            "StorageNotSupported", "the storage address is no valid URL; use file:///path or a plain path"
        ) from error
    if address and address.scheme.lower() != "file":
        # Only the scheme is named: the rest of an address may carry a signature.
        raise InputError(
            "StorageNotSupported",
            f"documents are read from the documents folder, not from {address.scheme.lower()}://; copy the"
            " file there",
        )
    if address and address.netloc not in ("", "localhost"):
        raise InputError(
            "StorageNotSupported", "a file:// address with a host is not supported; use file:///path"
        )
    text = unquote(address.path) if address else storage_url
    if not text.strip():
        raise InputError("Missing", "the document has no storage address; upload the file again")
    if "\0" in text:
        raise InputError("NotAllowed", "the storage address holds a NUL character")
    try:
        root = folder.resolve(strict=True)
    except OSError as error:
        # A missing volume is not the document's fault: it is tried again.
        raise RuntimeError(
            f"the documents folder {folder} cannot be read ({error.strerror}); is its volume mounted?"
        ) from error
    try:
        found = (root / text).resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(
            "NotAllowed", "the storage address is a loop of symbolic links or too long"
        ) from error
    if not found.is_relative_to(root):
        raise InputError(
            "NotAllowed",
            f"the storage address leads out of the documents folder {folder}; move the file into it, or mount"
            " the files where the addresses say and name that folder in ROWLOCK_DOCUMENTS_DIR (value"
            " domain.documents.folder of the chart)",
        )
    return found


def open_document(storage_url: str, limits: DocumentLimits) -> BinaryIO:
    """Opens a file that looks like a whole PDF of a bearable size; the caller closes it.

    InputError Missing, NotAllowed, StorageNotSupported, Empty, TooLarge, NotPdf, Truncated. OSError for a
    sick volume.
    """
    path = local_path(storage_url, limits.folder)
    try:
        # The path has no symbolic link left: should one have appeared since, it is refused. A pipe must not
        # block the open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise InputError(
                "Missing", f"there is no file {path.name!r} in the documents folder; upload it again"
            ) from error
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM):
            raise InputError(
                "NotAllowed",
                f"the file {path.name!r} may not be read ({error.strerror}); check its owner and mode",
            ) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("NotAllowed", f"{path.name!r} is not an ordinary file")
    file = os.fdopen(descriptor, "rb")
    try:
        _check(file, path.name, limits)
    except BaseException:
        file.close()
        raise
    return file


def _check(file: BinaryIO, name: str, limits: DocumentLimits) -> None:
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes == 0:
        raise InputError("Empty", f"the file {name!r} has 0 bytes; upload it again")
    if size_bytes > limits.max_bytes:
        raise InputError(
            "TooLarge",
            f"the file {name!r} has {size_bytes:,} bytes; at most {limits.max_bytes:,} are allowed",
        )
    if _HEADER not in file.read(_HEADER_WITHIN_BYTES):
        raise InputError("NotPdf", f"the file {name!r} is not a PDF: it does not begin with %PDF-")
    # PDFium repairs some cut files and shows the pages that are left: half a document must not pass for the
    # whole.
    file.seek(max(0, size_bytes - _END_WITHIN_BYTES))
    if _END not in file.read():
        raise InputError("Truncated", f"the file {name!r} ends before the end of the PDF; upload it again")
    file.seek(0)
