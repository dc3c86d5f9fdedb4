"""Builds each upstream program once, from its own committed module, into the cache.

A group is a folder of tools/go: a go.mod whose `tool` lines name the programs, and a go.sum that pins every
byte. Groups stay apart because their dependencies exclude each other.
"""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.gotool import find_go, needed_version
from tools.cluster.places import cache_folder
from tools.cluster.shell import locked, run
from tools.cluster.steps import say

MODULES = Path(__file__).parent.parent / "go"
BUILD_FLAGS = ("-trimpath", "-buildvcs=false")


@dataclass(frozen=True)
class Group:
    """One module of tools/go and what its build needs beyond the module itself."""

    name: str
    # Free disk while it builds, the Go caches included. Measured, rounded up.
    needs_disk_gb: int = 2
    # The module whose version the programs should report, and the linker variables that say it ({} is the
    # version).
    versioned_module: str = ""
    version_variables: tuple[str, ...] = ()
    # Go names a program after the last part of its package; these deserve a better name.
    renamed: tuple[tuple[str, str], ...] = ()
    # Built only where somebody names it.
    on_request: bool = False

    @property
    def folder(self) -> Path:
        return MODULES / self.name


KUBERNETES_VERSION = "k8s.io/component-base/version"

GROUPS = {
    group.name: group
    for group in (
        Group("etcd", renamed=(("go.etcd.io/etcd/server/v3", "etcd"),)),
        Group(
            "kubernetes",
            needs_disk_gb=8,
            versioned_module="k8s.io/kubernetes",
            # Without these the API server says v0.0.0-master and clients refuse it.
            version_variables=(
                f"{KUBERNETES_VERSION}.gitVersion={{version}}",
                f"{KUBERNETES_VERSION}.gitMajor={{major}}",
                f"{KUBERNETES_VERSION}.gitMinor={{minor}}",
            ),
        ),
        Group(
            "containerd",
            versioned_module="github.com/containerd/containerd/v2",
            version_variables=("github.com/containerd/containerd/v2/version.Version={version}",),
        ),
        Group("cni"),
        Group("pause", renamed=(("rowlock.dev/tools/pause", "pause"),)),
        Group("coredns"),
        Group(
            "buildkit",
            versioned_module="github.com/moby/buildkit",
            version_variables=("github.com/moby/buildkit/version.Version={version}",),
        ),
        Group(
            "helm",
            versioned_module="helm.sh/helm/v4",
            version_variables=("helm.sh/helm/v4/internal/version.version={version}",),
        ),
        Group("kind"),
        # Another controller that holds Jobs: only `python -m tests.proof kueue` needs it.
        Group("kueue", needs_disk_gb=4, on_request=True),
    )
}

# What the host provider runs, in the order it needs them; helm comes along for charts.
HOST_GROUPS = ("pause", "etcd", "cni", "containerd", "kubernetes", "coredns", "buildkit", "helm")


def tool_packages(go_mod: str) -> list[str]:
    """The packages that the `tool` lines of this go.mod name."""
    block = re.search(r"^tool \(\n(.*?)^\)", go_mod, re.MULTILINE | re.DOTALL)
    lines = block.group(1).splitlines() if block else re.findall(r"^tool (\S+)$", go_mod, re.MULTILINE)
    return [line.strip() for line in lines]


def linker_flags(group: Group, go_mod: str) -> str:
    """What the linker is told: no symbols, and the version where the program does not know it by itself."""
    flags = ["-s", "-w"]
    if group.versioned_module:
        found = re.search(
            rf"^\s*(?:require )?{re.escape(group.versioned_module)} (v\S+)", go_mod, re.MULTILINE
        )
        if found is None:
            raise ClusterError(
                f"{group.folder}/go.mod does not require {group.versioned_module}: add its tool line again."
            )
        version = found.group(1)
        major, minor = version.removeprefix("v").split(".")[:2]
        flags += [
            f"-X {text.format(version=version, major=major, minor=minor)}" for text in group.version_variables
        ]
    return " ".join(flags)


def programs_of(group: Group) -> dict[str, str]:
    """Program name -> Go package."""
    renamed = dict(group.renamed)
    packages = tool_packages((group.folder / "go.mod").read_text()) or list(renamed)
    return {renamed.get(package, package.rsplit("/", 1)[-1]): package for package in packages}


def build_key(group: Group) -> str:
    """A hash of everything of ours that decides what the build gives."""
    digest = hashlib.sha256()
    for file in sorted(group.folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(
        " ".join(BUILD_FLAGS).encode() + linker_flags(group, (group.folder / "go.mod").read_text()).encode()
    )
    return digest.hexdigest()[:16]


def built_folder(group: Group) -> Path:
    """Where this group's programs lie once they are built."""
    return cache_folder() / "programs" / f"{group.name}-{build_key(group)}"


def ensure_programs(names: Iterable[str] = HOST_GROUPS) -> dict[str, Path]:
    """Every program of these groups by name, built where missing; says the seconds of each build.

    Raises ClusterError for an unknown group, too little disk, no Go, or a build that fails.
    """
    found: dict[str, Path] = {}
    for name in names:
        if name not in GROUPS:
            raise ClusterError(f"There is no program group {name!r}; the groups are {', '.join(GROUPS)}.")
        group = GROUPS[name]
        folder = built_folder(group)
        if not folder.is_dir():
            with locked(cache_folder() / "programs" / f"{name}.lock"):
                if not folder.is_dir():  # another builder may have finished while we waited
                    _build(group, folder)
        found |= {program: folder / program for program in programs_of(group)}
    return found


def _build(group: Group, folder: Path) -> None:
    _check_disk(group, folder.parent)
    go = find_go(needed_version(group.folder))
    say(f"Building {', '.join(programs_of(group))} from tools/go/{group.name} (once; kept in {folder}).")
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".building-{group.name}-"))
    flags = [*BUILD_FLAGS, "-ldflags", linker_flags(group, (group.folder / "go.mod").read_text())]
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    programs = programs_of(group)
    try:
        if group.renamed:
            for program, package in programs.items():
                run([go, "build", *flags, "-o", scratch / program, package], cwd=group.folder, env=env)
        else:
            # One call for the whole group, so that what its programs share is compiled once.
            run([go, "build", *flags, "-o", f"{scratch}/", *programs.values()], cwd=group.folder, env=env)
        scratch.chmod(0o755)
        os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"{time.monotonic() - began:6.1f} s  built {group.name}")


def _check_disk(group: Group, folder: Path) -> None:
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < group.needs_disk_gb:
        raise ClusterError(
            f"Building {group.name} needs about {group.needs_disk_gb} GB of free disk and {folder} has"
            f" {free_gb:.1f} GB: make room, or point ROWLOCK_CACHE (and GOCACHE) to another disk."
        )
