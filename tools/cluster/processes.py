"""Starts daemons that outlive us, and ends them without ever touching a stranger that inherited a pid.

A pid alone proves nothing: the kernel hands it out again. A daemon is known by its pid, its start time in
clock ticks and the boot it was started in; a signal goes through a pidfd opened before that proof is checked.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SPAWN_SCRIPT = 'list=$1; shift; for file in $list; do echo $$ > "$file"; done; exec "$@"'


@dataclass(frozen=True)
class Identity:
    """Which process exactly."""

    pid: int
    start_ticks: int
    boot_id: str


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, int] | None:
    """(state letter, start ticks); None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets and may itself hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def identify(pid: int) -> Identity | None:
    """The identity of a living process; None for one that is gone or only waits to be reaped."""
    stat = _stat(pid)
    if stat is None or stat[0] in "ZX":
        return None
    return Identity(pid, stat[1], _boot_id())


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs."""
    return identify(identity.pid) == identity


def save(identity: Identity, file: Path) -> None:
    file.write_text(json.dumps(asdict(identity)))


def load(file: Path) -> Identity | None:
    """The saved identity; None where there is none or the file was cut off by a crash."""
    try:
        return Identity(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def spawn(
    argv: Sequence[str | Path], *, log: Path, cgroup_files: Sequence[Path], env: Mapping[str, str]
) -> Identity:
    """Start a daemon in a session of its own, its output appended to `log`, inside the cgroups given.

    The shell that joins the cgroups replaces itself by the program, so the pid stays and no child escapes.
    """
    joined = " ".join(map(str, cgroup_files))
    words = ["/bin/sh", "-c", SPAWN_SCRIPT, "sh", joined, *map(str, argv)]
    with log.open("ab") as output:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=dict(env),
            cwd="/",
        )
    # Our own child cannot be recycled before we reap it, so its start time is readable even if it died at
    # once.
    stat = _stat(child.pid)
    child.returncode = 0  # it is a daemon now: nobody waits for it, and Popen need not warn about that
    return Identity(child.pid, stat[1] if stat else 0, _boot_id())


def signal_if_same(identity: Identity, number: signal.Signals) -> bool:
    """Send a signal to that very process; False where it is gone or its pid belongs to someone else now."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle now stands for one process. Checked after opening: if it matches, the handle is ours.
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def end(identity: Identity, *, grace_seconds: float) -> None:
    """Ask that very process to end, then force it after `grace_seconds`; nothing where it is already gone."""
    if not signal_if_same(identity, signal.SIGTERM):
        return
    if not _ended_within(identity, grace_seconds):
        signal_if_same(identity, signal.SIGKILL)
        _ended_within(identity, 5.0)


def _ended_within(identity: Identity, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(identity):
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.02)
    return True
