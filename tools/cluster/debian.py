"""The machine's own Debian packages and its configured mirror."""

import os
import re
import shutil
from pathlib import Path

from tools.cluster.errors import ClusterError
from tools.cluster.shell import run, succeeds
from tools.cluster.steps import say

# program -> (package that brings it, what needs it)
NEEDED = {
    "runc": ("runc", "containerd starts containers with it (crun of Debian 12 is too old)"),
    "nft": ("nftables", "kube-proxy and our NAT"),
    "ip": ("iproute2", "network links"),
    "nsenter": ("util-linux", "the cluster's namespaces"),
    "openssl": ("openssl", "certificates"),
    "mmdebstrap": ("mmdebstrap", "stand-ins for base images"),
}


def find_program(name: str) -> str | None:
    """Like `which`, but also where Debian puts programs of the administrator."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def ensure_packages() -> None:
    """Install what NEEDED lists and this machine lacks, saying so; raises ClusterError where apt-get is no
    option.
    """
    missing = {program: about for program, about in NEEDED.items() if find_program(program) is None}
    if not missing:
        return
    packages = sorted({package for package, _ in missing.values()})
    if find_program("apt-get") is None:
        raise ClusterError(
            f"This machine lacks {', '.join(missing)} and has no apt-get: install them by hand."
        )
    for package, purpose in missing.values():
        say(f"Installing the Debian package {package}: {purpose}.")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not all(succeeds(["apt-cache", "show", package]) for package in packages):
        run(["apt-get", "update", "-q"], env=env)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], env=env)


def debian_mirrors(sources: str, codename: str) -> list[str]:
    """The addresses in this apt configuration (both formats) that serve the distribution `codename`
    itself.
    """
    found: list[str] = []
    for stanza in re.split(r"\n\s*\n", sources):
        fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.+)$", stanza, re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and codename in fields.get("Suites", "").split():
            found += fields.get("URIs", "").split()
    for line in sources.splitlines():
        one_line = re.match(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line)
        if one_line and one_line.group(2) == codename:
            found.append(one_line.group(1))
    return found


def mirror() -> str:
    """The Debian mirror this machine is set up with, or ROWLOCK_DEBIAN_MIRROR; raises ClusterError where
    there is none.
    """
    chosen = os.environ.get("ROWLOCK_DEBIAN_MIRROR")
    if chosen:
        return chosen
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n\n".join(
        file.read_text() for file in files if file.is_file() and file.suffix in (".list", ".sources")
    )
    found = debian_mirrors(text, release.get("VERSION_CODENAME", "")) if release.get("ID") == "debian" else []
    if not found:
        raise ClusterError(
            "No Debian mirror is configured on this machine: set ROWLOCK_DEBIAN_MIRROR to its address."
        )
    return found[0]
