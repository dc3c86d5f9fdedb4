"""Where things lie: the cache of built programs and images, and the state of each cluster."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.errors import ClusterError

NAME_SHAPE = re.compile(r"[a-z][a-z0-9-]{0,19}")

# A UNIX socket's path may hold 107 bytes; the longest file we put one in is "containerd.sock.ttrpc".
LONGEST_SOCKET_FOLDER_BYTES = 84


def cache_folder() -> Path:
    """What may be lost but is slow to make again: built programs, image archives."""
    chosen = os.environ.get("ROWLOCK_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "rowlock"


def state_folder() -> Path:
    """Everything that belongs to clusters that are up."""
    chosen = os.environ.get("ROWLOCK_STATE")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/rowlock")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "rowlock"


@dataclass(frozen=True)
class ClusterPlace:
    """The folder of one cluster and the files in it that more than one room needs."""

    name: str
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def provider_file(self) -> Path:
        return self.folder / "provider"

    @property
    def network_file(self) -> Path:
        return self.folder / "network.json"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def pids(self) -> Path:
        return self.folder / "pids"

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def buildkit_socket(self) -> Path:
        return self.folder / "buildkit.sock"

    @property
    def lock_file(self) -> Path:
        # Beside the folder, because `down` deletes the folder while it holds the lock.
        return self.folder.with_name(f"{self.name}.lock")


def cluster_place(name: str) -> ClusterPlace:
    """Where the cluster `name` lives; raises ClusterError for a name that cannot serve as one."""
    if not NAME_SHAPE.fullmatch(name):
        raise ClusterError(
            f"{name!r} cannot name a cluster: use up to 20 lower-case letters, digits and hyphens, a letter"
            " first."
        )
    folder = state_folder() / "clusters" / name
    if folder.is_relative_to("/run") or folder.is_relative_to("/var/run"):
        raise ClusterError(
            f"{folder} lies below /run, which a host cluster hides from itself: set ROWLOCK_STATE elsewhere."
        )
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER_BYTES:
        raise ClusterError(
            f"{folder} is too long a path for UNIX sockets: set ROWLOCK_STATE to a shorter one."
        )
    return ClusterPlace(name, folder)
