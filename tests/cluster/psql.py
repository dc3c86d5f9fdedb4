"""psql inside the database's pod, kept open: a question costs a round trip instead of a new kubectl, and no
port is opened.
"""

import subprocess
import uuid

_STATEMENT_TIMEOUT = "20s"


class QueryFailed(Exception):
    """The statement was refused, or the database went away under it; psql's own words."""


class Psql:
    """Statements of one login role of the database `rowlock`. The process is started with the first one, and
    anew after a failure.
    """

    def __init__(self, kubectl: list[str], *, pod: str, role: str) -> None:
        self._command = [
            *kubectl,
            "exec",
            "--stdin",
            pod,
            "--",
            "psql",
            "--username=postgres",
            "--dbname=rowlock",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--field-separator=\t",
            "--set=ON_ERROR_STOP=1",
        ]
        self._role = role
        self._process: subprocess.Popen[str] | None = None
        self._said = ""

    def rows(self, statement: str) -> list[list[str]]:
        """Rows as text. Raises QueryFailed."""
        if self._process is None:
            self._process = self._start()
            self._ask(self._process, f"set statement_timeout = '{_STATEMENT_TIMEOUT}'; set role {self._role}")
        return [line.split("\t") for line in self._ask(self._process, statement)]

    def close(self) -> None:
        """Ends the process; the next statement starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self._said = process.communicate()[1]

    def _start(self) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)

    def _ask(self, process: "subprocess.Popen[str]", statement: str) -> list[str]:
        assert process.stdin is not None
        assert process.stdout is not None
        end = f"end-{uuid.uuid4().hex}"
        try:
            process.stdin.write(f"{statement}\n;\n\\echo {end}\n")
            process.stdin.flush()
            lines: list[str] = []
            while (line := process.stdout.readline().rstrip("\n")) != end:
                if not line and process.poll() is not None:
                    raise BrokenPipeError
                lines.append(line)
        except OSError:
            self.close()
            raise QueryFailed(
                f"{self._said.strip()[-600:]}; the statement was: {statement.strip()[:200]}"
            ) from None
        return [line for line in lines if line]
