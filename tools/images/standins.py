"""Makes the stand-ins with mmdebstrap and keeps their archives in the cache."""

import os
import re
import shlex
import tarfile
import tempfile
from pathlib import Path

from tools.cluster.debian import find_program, mirror
from tools.cluster.errors import ClusterError
from tools.cluster.places import cache_folder
from tools.cluster.shell import locked, run
from tools.cluster.steps import step
from tools.images.archive import write_archive
from tools.images.recipes import (
    EARLY_HOOKS,
    FILES,
    HOST_CERTIFICATES,
    PYTHON,
    RECIPES,
    SUITE,
    Recipe,
    with_python_version,
)

# What a container never reads; a third of the size.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
IMAGE_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)


def stand_in_archives() -> list[Path]:
    """An archive of every stand-in, each made where the cache has none of that recipe."""
    address = mirror()
    return [_ensure(recipe, address) for recipe in RECIPES]


def _ensure(recipe: Recipe, address: str) -> Path:
    folder = cache_folder() / "images"
    archive = folder / f"{recipe.short_name}-{recipe.key(address)}.tar"
    if archive.exists():
        return archive
    with locked(folder / f"{recipe.short_name}.lock"):
        if not archive.exists():
            with step(f"made the stand-in {recipe.image} (once; kept in {folder})"):
                _make(recipe, address, archive)
    return archive


def mmdebstrap_command(recipe: Recipe, *, address: str, layer: Path) -> list[str]:
    """The call that makes the root file system as a tar."""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in (*LEFT_OUT, *recipe.left_out)]
    options += [f"--essential-hook={hook}" for hook in EARLY_HOOKS.get(recipe.image, ())]
    hooks = list(recipe.hooks)
    if recipe.scripts:
        files = [shlex.quote(str(file)) for file in sorted((FILES / recipe.scripts).iterdir())]
        hooks.append(f'install -m 755 {" ".join(files)} "$1"/usr/local/bin/')
    if recipe.trusts_host and HOST_CERTIFICATES.exists():
        hooks.append(f'cat {HOST_CERTIFICATES} >> "$1"/{IMAGE_CERTIFICATES}')
    options += [f"--customize-hook={hook}" for hook in hooks]
    keyring = [f"--keyring={file}" for file in KEYRINGS if Path(file).exists()][:1]
    return [
        find_program("mmdebstrap") or "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--skip=cleanup/run",  # PostgreSQL's socket folder lies in /run
        f"--include={','.join(recipe.packages)}",
        *keyring,
        *options,
        SUITE,
        str(layer),
        address,
    ]


def _make(recipe: Recipe, address: str, archive: Path) -> None:
    # In the cache rather than /tmp, which may be small or in memory.
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".making-") as scratch:
        layer = Path(scratch) / "layer.tar"
        env = {**os.environ, "TMPDIR": scratch, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        run(mmdebstrap_command(recipe, address=address, layer=layer), env=env)
        finished = (
            with_python_version(recipe, installed_version(layer, "python3.13"))
            if recipe == PYTHON
            else recipe
        )
        write_archive(image=recipe.image, layer=layer, config=finished.config, archive=archive)


def installed_version(layer: Path, package: str) -> str:
    """The upstream version of a Debian package in a root file system, without Debian's own additions."""
    with tarfile.open(layer) as tar:
        member = tar.extractfile("./var/lib/dpkg/status")
        status = member.read().decode() if member else ""
    found = re.search(
        rf"^Package: {re.escape(package)}$.*?^Version: (?:\d+:)?([\d.]+)", status, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise ClusterError(
            f"The stand-in holds no package {package}: its recipe and Debian {SUITE} disagree."
        )
    return found.group(1)
