"""The second act: articles appear on a site, a model writes comments, a person approves some, and a process
of one minute posts by itself.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from tools.demo.processes import Table, moment, rows_of, status_of
from tools.demo.session import NAMESPACE, Session, say
from tools.demo.standins import StandIns

CIRCLE, MINUTE = "reading-circle", "class-13"
# Who sees which class, as the site's Secret has it; how many prompts each process has, as its manifest has
# it.
CLASSES = {"ada": (12,), "ben": (12, 13), "cleo": (13,)}
LOGINS = {CIRCLE: ("ada", "ben", "cleo"), MINUTE: ("ben", "cleo")}
PROMPTS = {CIRCLE: 2, MINUTE: 1}
APPROVED_EACH = 2
SILENT_SECONDS = 5.0
_MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class Seen:
    """What the act ends with, for the checks."""

    expected: dict[str, int]  # comments of each process: articles x logins that see them x prompts
    approved: int
    last_stop: float


def expected(name: str, articles: dict[int, int]) -> int:
    """Comments of a process once it has worked through these articles."""
    classes = {12, 13} if name == CIRCLE else {13}
    pairs = sum(c in classes and c in CLASSES[login] for c in articles.values() for login in LOGINS[name])
    return pairs * PROMPTS[name]


def act(session: Session, standins: StandIns) -> Seen:
    """All of it; raises DemoFailed where something does not come in time."""
    session.step(
        "A writing platform with three accounts, and a language model: stand-ins, as pods of the cluster"
    )
    session.kubectl("delete", "monitoringprocess", CIRCLE, MINUTE, "--ignore-not-found")
    standins.deploy()
    say("  the accounts' names and passwords, and the model's key, are in Secrets")
    session.step(
        f"{CIRCLE} finds articles and writes comments; nothing is posted before somebody approves it"
    )
    table = Table(session)
    _apply(session, CIRCLE)
    _written(table, session, standins, CIRCLE)
    say("  somebody publishes three articles")
    standins.write(12, 12, 13)
    session.step(
        f"{MINUTE} posts by itself, for one minute; it shares the accounts, their sessions and their pace"
    )
    _apply(session, MINUTE)
    _written(table, session, standins, CIRCLE, MINUTE)
    standins.write(13)
    say("  somebody publishes another article in class 13")
    session.step("Somebody reads the comments and approves some")
    approved = _approve(session)
    table.watch(
        "posting of approved comments",
        lambda: _count(session, CIRCLE, "posted") == approved,
        deadline_seconds=60,
    )
    said = next(comment for comment in standins.posted() if comment.login == "ada")
    say(
        f"  as readers of the site see it, by {said.login}:"
        f" {' '.join(re.sub('<[^>]*>', ' ', said.text).split())[:110]}..."
    )
    _written(table, session, standins, CIRCLE, MINUTE)
    wanted_of_minute = expected(MINUTE, standins.articles())
    table.watch(
        f"posting of {MINUTE}",
        lambda: _count(session, MINUTE, "posted") == wanted_of_minute,
        deadline_seconds=40,
    )
    say("  meanwhile the stages are ordinary sources: kubectl get rowsources")
    say(
        "  "
        + session.kubectl("get", "rowsources", "-l", "app.kubernetes.io/component=monitoring")
        .strip()
        .replace("\n", "\n  ")
    )
    table.watch(
        f"the end of {MINUTE}",
        lambda: status_of(session, MINUTE).get("phase") == "completed",
        deadline_seconds=70,
    )
    session.step(f"{MINUTE} has ended; an article that appears now is none of its business")
    standins.write(13)
    _written(table, session, standins, CIRCLE)
    session.kubectl(
        "patch", "monitoringprocess", CIRCLE, "--type=merge", "-p", '{"spec": {"state": "Stopped"}}'
    )
    table.watch(
        f"the stop of {CIRCLE}",
        lambda: status_of(session, CIRCLE).get("phase") == "stopped",
        deadline_seconds=10,
    )
    last_stop = max(moment(str(status_of(session, name)["stoppedAt"])) for name in (CIRCLE, MINUTE))
    standins.write(12, 13)
    say(f"  {CIRCLE} is stopped; two more articles appear, and nobody asks for them")
    # longer than two discoveries would be apart
    time.sleep(max(0.0, last_stop + SILENT_SECONDS + 6 - time.time()))
    return Seen(
        {CIRCLE: expected(CIRCLE, _but(standins.articles(), 2)), MINUTE: wanted_of_minute},
        approved,
        last_stop,
    )


def _apply(session: Session, name: str) -> None:
    session.kubectl("apply", "-f", str(_MANIFESTS / f"{name}.yaml"))


def _count(session: Session, name: str, field: str) -> int:
    return int(status_of(session, name).get(field) or 0)


def _written(table: Table, session: Session, standins: StandIns, *names: str) -> None:
    """Waits until each process has written every comment of the articles there are."""
    wanted = {name: expected(name, standins.articles()) for name in names}
    table.watch(
        "writing",
        lambda: all(_count(session, name, "generated") == n for name, n in wanted.items()),
        deadline_seconds=60,
    )


def _approve(session: Session) -> int:
    """Some of each login, by the command line; returns how many."""
    circle = f"{NAMESPACE}/{CIRCLE}"
    say("  rowlock comments list --approval waiting --limit 5")
    say(
        "  "
        + session.rowlock("comments", "list", "--process", circle, "--approval", "waiting", "--limit", "5")
        .strip()
        .replace("\n", "\n  ")
    )
    waiting = [row for row in rows_of(session, CIRCLE) if row.status == "generated"]
    chosen = [
        row.id for login in LOGINS[CIRCLE] for row in [w for w in waiting if w.login == login][:APPROVED_EACH]
    ]
    say(
        f"  rowlock comments approve {chosen[0][:8]} ... ({len(chosen)} of {len(waiting)}, {APPROVED_EACH} of"
        " each account)"
    )
    session.rowlock("comments", "approve", *chosen, "--by", "demo")
    return len(chosen)


def _but(articles: dict[int, int], last: int) -> dict[int, int]:
    """Articles without the last few."""
    return dict(sorted(articles.items())[: len(articles) - last])
