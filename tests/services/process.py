"""Starting a server process as an unprivileged user and waiting for it with a deadline."""

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MEMORY, _MEMORY_BYTES = Path("/dev/shm"), 6 << 30


def data_folder(prefix: str, *, durable: bool = False) -> Path:
    """A new folder for a server's data: in memory where that is large, as many servers side by side wait for
    one disk; `durable`: on disk. A process that is killed loses nothing in either.
    """
    if durable or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _MEMORY_BYTES:
        return Path(tempfile.mkdtemp(prefix=prefix))
    for left in _MEMORY.glob("rowlock-*"):  # by a run that was killed: memory is not swept by anybody else
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=_MEMORY))


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_until(condition: Callable[[], object], what: str, deadline_seconds: float = 20.0) -> object:
    """Polls `condition` until it is truthy and returns its value; AssertionError naming `what` past the
    deadline.

    A look often costs a new connection, so a long wait looks less often: it ends at most a tenth later than
    it could, and leaves the cores to those who do what is waited for.
    """
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        if waited > deadline_seconds:
            raise AssertionError(f"not within {deadline_seconds} s: {what}")
        time.sleep(min(max(waited / 10, 0.01), 0.1))


def port_open(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


def has_input(connection: Any) -> bool:
    """Whether something waits to be read from what has a `fileno`: of a connection without a question in
    flight, its end.
    """
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def as_user(user: str, command: list[str]) -> list[str]:
    """PostgreSQL and PgBouncer refuse to run as root; everybody else runs them as themselves."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]


def find_program(name: str, *folders: str) -> str:
    """The path of a server program; folders hold `*` for versions, newest first."""
    for pattern in folders:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / name).is_file():
                return str(folder / name)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise RuntimeError(f"{name} is not installed: run `make setup`")
    return found


class Server:
    """One child process in a session of its own, with its log in a file."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.command, self.log, self.env = command, log, env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], object], deadline_seconds: float = 20.0) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=self.env,
            )
        end = time.monotonic() + deadline_seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                tail = self.log.read_text(errors="replace")[-2000:]
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"{self.command[-3:]} did not start:\n{tail}")
            time.sleep(0.02)

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """Ends the process; SIGKILL ends its whole session (a crash as a machine would have it)."""
        if self.process is None:
            return
        try:
            if sig == signal.SIGKILL:
                os.killpg(self.process.pid, sig)
            else:
                self.process.send_signal(sig)
        except ProcessLookupError:
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None
