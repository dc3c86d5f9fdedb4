"""One cgroup per cluster, in every hierarchy of the machine: who is inside belongs to the cluster and ends
with it.

Works on cgroup v1 (many hierarchies), v2 (one) and the mixture of both.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tools.cluster.errors import ClusterError

DAEMONS = "daemons"


def cgroup_name(cluster: str) -> str:
    """The name of a cluster's top cgroup, below the root of each hierarchy."""
    return f"rowlock-{cluster}"


def hierarchies_in(mountinfo: str) -> list[Path]:
    """Mount points of every cgroup hierarchy that this /proc/self/mountinfo text lists."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            found.append(Path(before.split(" ")[4]))
    return found


def _tops(cluster: str) -> list[Path]:
    hierarchies = hierarchies_in(Path("/proc/self/mountinfo").read_text())
    return [hierarchy / cgroup_name(cluster) for hierarchy in hierarchies]


def ensure_cgroups(cluster: str) -> list[Path]:
    """Create the cluster's cgroups; the files a daemon writes its pid to in order to join them."""
    joins = []
    for top in _tops(cluster):
        for group in (top, top / DAEMONS):
            group.mkdir(exist_ok=True)
            _inherit_cpuset(group)
        _hand_down_controllers(top.parent)
        _hand_down_controllers(top)
        joins.append(top / DAEMONS / "cgroup.procs")
    if not joins:
        raise ClusterError("This machine mounts no cgroups below /sys/fs/cgroup; a kubelet cannot run here.")
    return joins


def _inherit_cpuset(group: Path) -> None:
    """On v1 a new cpuset is empty and refuses processes until it is filled."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (group / "cgroup.controllers").exists() or not (group / file).exists():
            continue
        if not (group / file).read_text().strip():
            (group / file).write_text((group.parent / file).read_text())


def _hand_down_controllers(group: Path) -> None:
    """On v2 children get only the controllers that their parent hands down; v1 has no such file."""
    control = group / "cgroup.subtree_control"
    if not control.exists():
        return
    for controller in (group / "cgroup.controllers").read_text().split():
        try:
            control.write_text(f"+{controller}")
        except OSError:
            # some controllers (cpu with real-time processes) cannot be handed down; kubelet names what it
            # misses
            continue


def _existing(cluster: str) -> Iterator[Path]:
    """Every cgroup of the cluster, children before parents."""
    for top in _tops(cluster):
        for folder, _, _ in os.walk(top, topdown=False):
            yield Path(folder)


def members(cluster: str) -> set[int]:
    """The pids inside the cluster's cgroups right now."""
    pids: set[int] = set()
    for group in _existing(cluster):
        try:
            pids.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
        except OSError:
            # the cgroup went away between the walk and the read, or is threaded: its parent lists it
            continue
    pids.discard(0)
    return pids


def belongs(proc_cgroup: str, cluster: str) -> bool:
    """Whether this /proc/PID/cgroup text puts the process inside the cluster's cgroup."""
    top = "/" + cgroup_name(cluster)
    paths = [line.split(":", 2)[-1] for line in proc_cgroup.splitlines()]
    return any(path == top or path.startswith(top + "/") for path in paths)


def kill_members(cluster: str, *, deadline_seconds: float = 20.0) -> int:
    """End every process in the cluster's cgroups at once; how many were there.

    Raises ClusterError naming the survivors when some are still there after `deadline_seconds`.
    """
    deadline = time.monotonic() + deadline_seconds
    seen: set[int] = set()
    while pids := members(cluster):
        seen |= pids
        for pid in pids:
            _kill_if_member(pid, cluster)
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Processes {sorted(pids)} of cluster {cluster} would not end: look at them with `ps`."
            )
        time.sleep(0.02)
    return len(seen)


def _kill_if_member(pid: int, cluster: str) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Membership is read after the handle is open, so the signal can only reach the process that was
        # checked.
        if belongs(Path(f"/proc/{pid}/cgroup").read_text(), cluster):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return
    finally:
        os.close(handle)


def remove_cgroups(cluster: str, *, deadline_seconds: float = 10.0) -> None:
    """Delete the cluster's empty cgroups; raises ClusterError where one will not go."""
    deadline = time.monotonic() + deadline_seconds
    while groups := list(_existing(cluster)):
        refused = ""
        for group in groups:
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError as busy:  # a dead member may still wait to be reaped
                refused = f"{group}: {busy.strerror}"
        if refused and time.monotonic() > deadline:
            raise ClusterError(f"The cgroup {refused}; end what is inside and run `down` again.")
        if refused:
            time.sleep(0.05)
