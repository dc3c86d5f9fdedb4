"""Fetches a Debian package's files without installing it, into a cache outside the repository."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PDF_PACKAGE = "texlive-latex-base-doc"


class InputsMissing(Exception):
    """The input files cannot be had here; the message says what to do."""


def cache_folder() -> Path:
    """$ROWLOCK_CACHE/inputs, by default ~/.cache/rowlock/inputs."""
    root = os.environ.get("ROWLOCK_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "rowlock"
    )
    return Path(root).expanduser() / "inputs"


def unpacked(package: str = PDF_PACKAGE) -> Path:
    """The folder with the package's files; downloads it the first time (85 MB for the PDFs). InputsMissing
    with the remedy.
    """
    folder = cache_folder() / package
    if folder.is_dir():
        return folder
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise InputsMissing(
                f"{program} is not here: on Debian or Ubuntu run this again, elsewhere put PDF files into"
                f" {folder} yourself"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{package}.") as scratch:
        _run(
            ["apt-get", "-o", "APT::Sandbox::User=root", "download", package],
            scratch,
            "is the package list there? try: apt-get update",
        )
        (archive,) = Path(scratch).glob("*.deb")
        files = Path(scratch) / "files"
        _run(["dpkg", "-x", archive.name, str(files)], scratch, "is the disk full?")
        try:
            files.rename(folder)  # atomic: half an unpacked package is never seen
        except OSError:
            if not folder.is_dir():  # otherwise another one was faster
                raise
    return folder


def _run(command: list[str], folder: str, remedy: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputsMissing(f"{' '.join(command[:1])} failed ({done.stderr.strip()[-300:]}); {remedy}")
