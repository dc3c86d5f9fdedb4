"""MonitoringProcesses as kubectl shows them, and what the ledger's side knows of their comments."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.demo.session import NAMESPACE, DemoFailed, Session, say

_LOOK_SECONDS, _LINE_SECONDS, _WIDTH = 1.0, 2.0, 150


@dataclass(frozen=True)
class CommentRow:
    """A comment as the database has it."""

    id: str
    process: str
    login: str
    article: str
    status: str
    approved_by: str
    id_at_site: str


def status_of(session: Session, name: str) -> dict[str, Any]:
    """The status of one process; empty while there is none."""
    found: dict[str, Any] = json.loads(session.kubectl("get", "monitoringprocess", name, "-o", "json")).get(
        "status", {}
    )
    return found


def moment(text: str) -> float:
    """A time of a status, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def rows_of(session: Session, *processes: str) -> list[CommentRow]:
    """Comments of processes that exist now under these names."""
    names = ", ".join(f"'{name}'" for name in processes)
    return [
        CommentRow(*row)
        for row in session.psql(
            f"""select c.id, m.name, coalesce(l.name, ''), c.mymoment_article_id, c.status,
              coalesce(c.approved_by, ''), coalesce(c.mymoment_comment_id, '')
                  from ai_comments c join monitoring_processes m on m.id = c.monitoring_process_id
                  left join mymoment_logins l on l.id = c.mymoment_login_id
                 where m.namespace = '{NAMESPACE}' and m.is_active and m.name in ({names})
                   order by c.created_at, c.id"""
        )
    ]


class Table:
    """`kubectl get monitoringprocesses`, printed where it changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._head, self._seen, self._printed_at = "", set[str](), 0.0

    def watch(self, what: str, done: Callable[[], bool], *, deadline_seconds: float) -> float:
        """Looks every second until `done`; the seconds it took. Raises DemoFailed at the deadline."""
        began = time.monotonic()
        while True:
            over = done()
            head, *lines = self._session.kubectl("get", "monitoringprocesses").splitlines()
            now = time.monotonic()
            if over or now - self._printed_at >= _LINE_SECONDS:
                self._print(now - began, head, [line for line in lines if _figures(line) not in self._seen])
                self._seen, self._printed_at = {_figures(line) for line in lines}, now
            if over:
                return now - began
            if now - began > deadline_seconds:
                raise DemoFailed(
                    f"{what}: not within {deadline_seconds:.0f} s; last seen: {'; '.join(lines)}."
                    f" Look at: kubectl -n {NAMESPACE} describe monitoringprocesses"
                )
            time.sleep(_LOOK_SECONDS)

    def _print(self, seconds: float, head: str, lines: list[str]) -> None:
        if lines and head != self._head:  # the columns move with what is in them
            say(f"             {head[:_WIDTH]}")
            self._head = head
        for line in lines:
            say(f"  {seconds:6.1f} s   {line[:_WIDTH]}")


def _figures(line: str) -> str:
    """Without the next discovery and the age, which change by themselves."""
    return " ".join(line.split()[:5])
