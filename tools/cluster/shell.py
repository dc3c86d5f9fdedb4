"""Runs one command of the machine and turns its failure into a sentence."""

import fcntl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.errors import ClusterError


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    show: bool = False,
) -> str:
    """Standard output of a command that succeeded.

    With `show` the command's output goes to the terminal instead and the answer is empty.
    Raises ClusterError with the end of its output when the command is missing or fails.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=None if env is None else dict(env),
            check=False,
        )
    except FileNotFoundError as missing:
        raise ClusterError(
            f"The program {words[0]} is not on this machine: install it and try again."
        ) from missing
    if done.returncode != 0:
        said = (done.stderr or "") + (done.stdout or "")
        raise ClusterError(
            f"`{' '.join(words[:6])}` failed (exit {done.returncode}).\n{said[-3000:]}".rstrip()
        )
    return done.stdout or ""


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Whether a command exists and exits 0; for questions, whose output nobody wants."""
    try:
        return subprocess.run([str(word) for word in argv], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def locked(lock_file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold `lock_file` alone, or `shared` with others who do; who may not hold it now waits. The kernel lets
    go when the process ends, however it ends.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
