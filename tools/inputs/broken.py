"""Files that a PDF reader must refuse, each for another reason."""

from collections.abc import Callable
from pathlib import Path

import pypdfium2

PASSWORD = "open sesame"  # noqa: S105 - of a test file, published here


def zero_bytes(_source: Path, target: Path) -> None:
    target.write_bytes(b"")


def truncated(source: Path, target: Path) -> None:
    """The first six tenths of a real file, as a broken upload leaves it."""
    data = source.read_bytes()
    target.write_bytes(data[: len(data) * 6 // 10])


def damaged(source: Path, target: Path) -> None:
    """Begins and ends as a PDF, with noise between: only a reader notices."""
    data = source.read_bytes()
    noise = bytes((i * 31 + 7) % 251 for i in range(len(data) - 1100))
    target.write_bytes(data[:50] + noise + b"\nstartxref\n0\n%%EOF\n")


def not_a_pdf(_source: Path, target: Path) -> None:
    target.write_text("This is a letter that somebody renamed to .pdf.\n" * 40)


def encrypted(source: Path, target: Path) -> None:
    """RC4 with 128 bits and a password for reading: pypdf needs no other package for it, and readers treat
    all ciphers alike here.
    """
    from pypdf import PdfWriter  # a dependency of development only

    writer = PdfWriter(clone_from=source)
    writer.encrypt(PASSWORD, algorithm="RC4-128")
    writer.write(target)


def images_only(source: Path, target: Path, pages: int = 3) -> None:
    """A scan: each page is a picture of a page of the source, without any text."""
    with pypdfium2.PdfDocument(source) as original, pypdfium2.PdfDocument.new() as scan:
        for number in range(min(pages, len(original))):
            width, height = original[number].get_size()
            bitmap = original[number].render(scale=1.0)
            page = scan.new_page(width, height)
            image = pypdfium2.PdfImage.new(scan)
            image.set_bitmap(bitmap)
            image.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
            page.insert_obj(image)
            page.gen_content()
        scan.save(target)


def partly_scanned(source: Path, target: Path) -> None:
    """The source with an empty page before its first one."""
    with pypdfium2.PdfDocument(source) as document:
        document.new_page(400, 600, index=0)
        document.save(target)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "zero-bytes": zero_bytes,
    "truncated": truncated,
    "damaged": damaged,
    "not-a-pdf": not_a_pdf,
    "encrypted": encrypted,
    "images-only": images_only,
}


def write_broken(source: Path, folder: Path) -> dict[str, Path]:
    """One file of each kind, made from a real PDF; by the name of the kind."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for kind, make in KINDS.items():
        made[kind] = folder / f"{kind}.pdf"
        make(source, made[kind])
    return made
