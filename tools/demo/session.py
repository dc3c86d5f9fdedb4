"""The tools of the demo: kubectl, helm, psql in the database's pod, and lines on the terminal."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.cluster.programs import ensure_programs

ROOT = Path(__file__).parents[2]
NAMESPACE = "rowlock"
RELEASE = "rowlock"


class DemoFailed(Exception):
    """A step did not do what it should; the sentence says which and what to look at."""


def run(command: list[str], *, data: bytes | None = None, quiet: bool = True) -> str:
    """A program's output; DemoFailed with the end of what it said where it fails."""
    done = subprocess.run(command, input=data, capture_output=quiet, cwd=ROOT, check=False)
    if done.returncode != 0:
        said = ((done.stderr or b"") + (done.stdout or b"")).decode(errors="replace").strip()
        raise DemoFailed(f"`{' '.join(command[:6])} ...` failed: {said[-1500:]}")
    return (done.stdout or b"").decode()


class Session:
    """One cluster with one release."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.documents_path = f"/var/lib/rowlock/demo-documents-{cluster}"
        self._steps = 0

    def step(self, title: str) -> None:
        """The next numbered line."""
        self._steps += 1
        say(f"{self._steps}. {title}")

    def tool(self, *arguments: str, quiet: bool = True) -> str:
        """The cluster provider's command."""
        return run([sys.executable, "-m", "tools.cluster", *arguments], quiet=quiet)

    @property
    def kubeconfig(self) -> str:
        return self.tool("kubeconfig", "--name", self.cluster).strip()

    def kubectl(self, *arguments: str, data: bytes | None = None) -> str:
        return run(
            [
                str(ensure_programs(["kubernetes"])["kubectl"]),
                "--kubeconfig",
                self._config(),
                "-n",
                NAMESPACE,
                *arguments,
            ],
            data=data,
        )

    def helm(self, *arguments: str) -> str:
        return run(
            [
                str(ensure_programs(["helm"])["helm"]),
                "--kubeconfig",
                self._config(),
                "-n",
                NAMESPACE,
                *arguments,
            ]
        )

    def psql(self, statement: str) -> list[list[str]]:
        """Rows of a statement, as text, from inside the database's pod: no port is opened, no password leaves
        the cluster.
        """
        out = self.kubectl(
            "exec",
            "-i",
            f"{RELEASE}-postgresql-0",
            "--",
            "psql",
            "-U",
            "postgres",
            "-d",
            "rowlock",
            "-v",
            "ON_ERROR_STOP=1",
            "-qAtF",
            "\t",
            data=statement.encode(),
        )
        return [line.split("\t") for line in out.splitlines()]

    def number(self, statement: str) -> int:
        rows = self.psql(statement)
        return int(rows[0][0]) if rows and rows[0][0] else 0

    def rowlock(self, *arguments: str) -> str:
        """Rowlock's own command line, inside the operator's pod."""
        return self.kubectl("exec", f"deploy/{RELEASE}-operator", "--", "rowlock", *arguments)

    def _config(self) -> str:
        if not hasattr(self, "_path"):
            self._path = self.kubeconfig
        return self._path


def say(text: str = "") -> None:
    print(text, flush=True)


def follow(what: str, progress: Callable[[], tuple[bool, str]], *, deadline_seconds: float) -> float:
    """Prints a changed progress line every second until it is done; returns the seconds it took."""
    began, last = time.monotonic(), ""
    while True:
        done, line = progress()
        if line != last:
            say(f"  {time.monotonic() - began:6.1f} s  {line}")
            last = line
        if done:
            return time.monotonic() - began
        if time.monotonic() - began > deadline_seconds:
            raise DemoFailed(
                f"{what}: not done within {deadline_seconds:.0f} s; last seen: {line}. Look at: kubectl -n"
                f" {NAMESPACE} get workqueues,rowsources,pods"
            )
        time.sleep(1.0)
