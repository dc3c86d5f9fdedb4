"""Puts real PDFs, from the smallest to the largest of a Debian package, into a folder: `python -m
tools.inputs.pdfs DEST [--count 120]`.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

import pypdfium2

from tools.inputs.archive import InputsMissing, unpacked
from tools.inputs.broken import write_broken

FEWEST = 100


def spread(files: list[tuple[int, Path]], count: int) -> list[Path]:
    """`count` of the files, evenly over their sizes, the smallest and the largest among them; all of them
    where there are fewer.
    """
    in_order = [path for _, path in sorted(files, key=lambda item: (item[0], item[1].as_posix()))]
    if count >= len(in_order):
        return in_order
    if count == 1:
        return in_order[:1]
    return [in_order[i * (len(in_order) - 1) // (count - 1)] for i in range(count)]


def chosen_pdfs(count: int) -> list[Path]:
    """Real PDFs of distinct content in the cache, smallest first. InputsMissing."""
    root = unpacked()
    distinct: dict[str, tuple[int, Path]] = {}
    for path in sorted(root.rglob("*.pdf")):
        if path.is_file():
            distinct.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), (path.stat().st_size, path))
    if len(distinct) < min(count, FEWEST):
        raise InputsMissing(f"only {len(distinct)} PDFs are in {root}; remove that folder and run this again")
    return spread(list(distinct.values()), count)


def write_inputs(destination: Path, count: int) -> list[dict[str, object]]:
    """Copies the PDFs and writes manifest.json (name, bytes, sha256, pages), and the broken files into
    `broken/`. Returns the manifest.
    """
    sources = chosen_pdfs(count)
    destination.mkdir(parents=True, exist_ok=True)
    manifest: list[dict[str, object]] = []
    for number, source in enumerate(sources, start=1):
        target = destination / f"{number:03d}-{source.name}"
        shutil.copyfile(source, target)
        data = target.read_bytes()
        with pypdfium2.PdfDocument(target) as document:
            pages = len(document)
        manifest.append(
            {
                "name": target.name,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "pages": pages,
            }
        )
    (destination / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    write_broken(sources[len(sources) // 2], destination / "broken")
    return manifest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", type=Path, metavar="DEST")
    parser.add_argument(
        "--count", type=int, default=120, help="how many PDFs, at least 1 (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("--count must be at least 1")
    try:
        manifest = write_inputs(arguments.destination, arguments.count)
    except InputsMissing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(int(str(entry["bytes"])) for entry in manifest)
    print(f"{len(manifest)} PDFs, {size:,} bytes, and the broken ones in {arguments.destination}/broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
