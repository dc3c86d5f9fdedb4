"""What was verified of the second act: the site's own log beside the database and what kubectl shows."""

import base64
import json
import re
from collections import Counter

from tools.demo.monitoring import CIRCLE, MINUTE, SILENT_SECONDS, Seen
from tools.demo.processes import CommentRow, moment, rows_of, status_of
from tools.demo.session import Session
from tools.demo.standins import Posted, StandIns
from tools.demo.verify import Check

PREFIX = "[Dieser Kommentar stammt von einem KI-ChatBot.]"
_SECRETS = ("demo-login-ada", "demo-login-ben", "demo-login-cleo", "demo-model")


def checks(session: Session, standins: StandIns, seen: Seen) -> list[Check]:
    """All of them; nothing is skipped because another failed."""
    posted, rows = standins.posted(), rows_of(session, CIRCLE, MINUTE)
    shown = {name: status_of(session, name) for name in (CIRCLE, MINUTE)}
    requests = standins.requests()
    by_id = {row.id_at_site: row for row in rows if row.id_at_site}
    lasted = moment(str(shown[MINUTE]["stoppedAt"])) - moment(str(shown[MINUTE]["startedAt"]))
    on_site = seen.approved + seen.expected[MINUTE]
    return [
        Check(
            f"{CIRCLE}: comments = articles x logins x prompts",
            seen.expected[CIRCLE],
            shown[CIRCLE]["comments"],
        ),
        Check(
            f"{CIRCLE}: comments that wait for approval",
            seen.expected[CIRCLE] - seen.approved,
            shown[CIRCLE]["waiting"],
        ),
        Check(f"{CIRCLE}: comments posted, as kubectl shows it", seen.approved, shown[CIRCLE]["posted"]),
        Check(
            f"{MINUTE}: comments posted, as kubectl shows it", seen.expected[MINUTE], shown[MINUTE]["posted"]
        ),
        Check(f"{MINUTE}: how it ended", "DurationReached", shown[MINUTE]["reason"]),
        Check(f"{MINUTE}: seconds it ran", "60 to 62", "60 to 62" if 60 <= lasted <= 62 else f"{lasted:.1f}"),
        Check("failed or unknown comments", 0, sum(row.status in ("failed", "unknown") for row in rows)),
        Check("comments in the site's own log", on_site, len(posted)),
        Check(
            "of them approved by hand",
            seen.approved,
            sum(_row(by_id, c, "approved_by") == "demo" for c in posted),
        ),
        Check(
            "under the account that the database says",
            on_site,
            sum(_row(by_id, c, "login") == c.login for c in posted),
        ),
        Check(
            "under the article that the database says",
            on_site,
            sum(_row(by_id, c, "article") == c.article for c in posted),
        ),
        Check("that do not begin with the AI disclosure", 0, sum(not discloses(c.text) for c in posted)),
        Check("posted twice", 0, doubled(posted)),
        Check(
            "full logins of the three accounts at the site",
            3,
            sum(r["method"] == "POST" and r["path"] == "/accounts/login/" for r in requests),
        ),
        Check(
            f"requests later than {SILENT_SECONDS:.0f} s after both had ended",
            0,
            sum(r["at"] > seen.last_stop + SILENT_SECONDS for r in requests),
        ),
        Check(
            "requests that do not say who asks",
            0,
            sum("demo.example.test" not in r["agent"] for r in requests),
        ),
        Check(
            "answers of the model, by its own log",
            sum(seen.expected.values()),
            standins.model("log")["totals"]["answered"],
        ),
        Check("ticks of the CronJob each minute that became runs", "all of some", _ticks(session)),
        Check("Secrets' words in statuses, Events and logs", 0, _told(session)),
    ]


def discloses(html: str) -> bool:
    """Does a reader see the prefix first?"""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split()).startswith(PREFIX)


def doubled(posted: list[Posted]) -> int:
    """Comments that an account left more than once under an article in the same words."""
    return sum(n - 1 for n in Counter((c.login, c.article, c.text) for c in posted).values())


def _row(rows: dict[str, CommentRow], comment: Posted, field: str) -> object:
    return getattr(rows.get(comment.id), field, None)


def _ticks(session: Session) -> str:
    """Of the last hour, but for those that may still be on their way."""
    ticks, done = session.psql(
        """select count(*), count(*) filter (where r.state = 'succeeded') from monitoring.tick t
          left join rowlock.run r on r.id = t.run_id
            where t.schedule = 'check-process-timeouts' and t.created_at between now() - interval '1 hour'
              and now() - interval '30 s'"""
    )[0]
    return "all of some" if done == ticks != "0" else f"{done} of {ticks}"


def _told(session: Session) -> int:
    """How many of the words are found where everybody may look."""
    secrets = json.loads(session.kubectl("get", "secrets", *_SECRETS, "-o", "json"))["items"]
    words = [
        base64.b64decode(secret["data"][key]).decode()
        for secret in secrets
        for key in ("password", "apiKey")
        if key in secret["data"]
    ]
    places = session.kubectl(
        "get", "monitoringprocesses,workqueues,rowsources,events,pods,jobs", "-o", "json"
    )
    for component in ("operator", "worker"):
        places += session.kubectl(
            "logs", "-l", f"app.kubernetes.io/component={component}", "--tail=-1", "--max-log-requests=30"
        )
    return sum(word in places for word in words)
