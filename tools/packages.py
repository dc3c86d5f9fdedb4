"""`python -m tools.packages`: how many packages of others each image installs, and their megabytes.

`--notice` writes NOTICE: the same packages with their licences. Read from the lock files of the images, and
from what the packages say of themselves where they are installed.
"""

import re
import sys
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = {"rowlock-operator": "operator", "rowlock-worker": "jobs"}
_HEAD = """Rowlock
Licensed under the Apache License, Version 2.0 (LICENSE).

Its images contain the packages below, each under its own licence. Written by `make lock`.
"""


def locked(lock: str) -> dict[str, str]:
    """Name -> version of every package that a lock file pins."""
    text = (ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def licence(name: str) -> str:
    """As the package says it: its SPDX expression, else its classifiers, else its one line. LookupError where
    it says nothing.
    """
    told = distribution(name).metadata
    classified = [
        each.rpartition(" :: ")[2]
        for each in told.get_all("Classifier", [])
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    first = (told.get("License") or "").strip().splitlines()
    found = told.get("License-Expression") or ", ".join(classified) or (first[0] if first else "")
    if not found:
        raise LookupError(f"{name} says no licence: read its files, and write it down here")
    return found


def megabytes(lock: str) -> float:
    """What the packages of a lock file take on disk, compiled modules left out."""
    files = (path.locate() for name in locked(lock) for path in distribution(name).files or ())
    return (
        sum(Path(str(path)).stat().st_size for path in files if path.suffix != ".pyc" and path.exists()) / 1e6
    )


def notice() -> str:
    """The text of NOTICE."""
    parts = [_HEAD]
    for image, lock in LOCKS.items():
        lines = [f"  {name} {version}: {licence(name)}" for name, version in sorted(locked(lock).items())]
        parts.append("\n".join([image, *lines]) + "\n")
    return "\n".join(parts)


def main() -> None:
    if "--notice" in sys.argv:
        (ROOT / "NOTICE").write_text(notice(), encoding="utf-8")
        return
    for image, lock in LOCKS.items():
        print(f"{image}: {len(locked(lock))} packages, {megabytes(lock):.1f} MB")


if __name__ == "__main__":
    main()
