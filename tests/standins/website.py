"""A stand-in for the writing platform myMoment, faults included. One file, standard library only.

    python website.py --port 8080 [--host 127.0.0.1] [--config site.json] [--log site.jsonl]

or in a test: `with running(Config(...)) as site: site.url`. Passwords are part of the configuration: made-up
logins only.

Pages (a login sees the articles of its classes, and its own):
  /accounts/login/, /accounts/logout/, /                  CSRF form, sessions in cookies, redirects with
  backslashes
  /articles/?tab=&kategorie=&aufgabe=                      tabs with cards; a table for teachers
  /article/<id>/, /article/<id>/comment/                   text, comments, the form
  /feed.xml, /atom.xml, /blog/<id>/                        the same articles for everybody
Control (never logged, no faults):
  GET  /_control/log[?since=N]                             {"requests": [...], "comments": [...], "next": N};
                                                           the file has the same lines, requests without their
                                                           status
  GET, POST /_control/articles                             one {...}, a list of them, or {"count": N,
  "classes": [...]}
  GET, POST /_control/faults                               see FAULTS; null or 0 ends one
"""

import argparse
import json
import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CATEGORIES = {
    4: "Anleiten",
    14: "Berichten",
    5: "Erklären",
    6: "Fragen",
    7: "Informieren",
    8: "Überzeugen",
    9: "Unterhalten",
}
TASKS = {4: "Freies Schreiben", 10: "Mein Hobby", 12: "Ein Rezept", 13: "Ein Abenteuer"}
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
WORDS = (
    "Hund",
    "Wald",
    "Sommer",
    "Fahrrad",
    "Freundin",
    "Schule",
    "Berg",
    "See",
    "Katze",
    "Geheimnis",
    "Reise",
    "Nacht",
    "Sturm",
    "Garten",
    "Kuchen",
    "Insel",
    "Schnee",
    "Brief",
)
FAULTS = {
    "wrong_password": "[login, ...]: their password is not accepted",
    "locked": "[login, ...]: locked; a login locks itself after `lock_after` wrong passwords",
    "slow_seconds": "each answer comes that late",
    "rate_limit": '{"times": n, "retry_after": s, "path": "/article/", "method": "POST"}: 429',
    "errors": '{"times": n, "status": 500, "path": ..., "method": ...}',
    "changed_layout": "true: other class names and ids everywhere",
    "refuse_comments": "text: comments are refused with it, by a 200 that shows the form again",
    "drop_after_post": "n comments are accepted, and the connection ends without an answer",
    "drop_before_post": "n comments are not accepted, and the connection ends without an answer",
    "error_after_post": "n comments are accepted and answered by a 500",
    "expire_before_post": "n sessions end between the form and its POST",
    "straight_redirects": "true: redirects without backslashes",
    "canned": '{"/path/": {"status": 302, "headers": {...}, "body": "...", "repeat": 1}}: fixed answers',
    "expire_sessions": "true, or [login, ...]: their sessions end now, once",
}


@dataclass(frozen=True)
class Login:
    name: str
    password: str
    student: str
    classes: tuple[int, ...] = (12,)
    teacher: bool = False


@dataclass
class Article:
    id: int
    title: str
    author: str
    classroom: int
    category: int
    task: int
    paragraphs: list[str]
    at: datetime
    status: str = "publiziert"


@dataclass
class Comment:
    id: int
    article: int
    login: str
    author: str
    text: str
    hidden: bool
    at: float


@dataclass(frozen=True)
class Config:
    seed: int = 7
    logins: tuple[Login, ...] = (
        Login("ada", "pw-ada", "Ada Frei", (12,)),
        Login("ben", "pw-ben", "Ben von Arx", (12, 13)),
        Login("cleo", "pw-cleo", "Cleo Meier", (13,)),
        Login("frau.huber", "pw-huber", "Frau Huber", (12, 13), teacher=True),
    )
    articles_per_class: int = 20
    session_seconds: int = 86_400
    lock_after: int = 5

    @classmethod
    def from_json(cls, text: str) -> "Config":
        values = json.loads(text)
        if "logins" in values:
            values["logins"] = tuple(
                Login(**{**login, "classes": tuple(login.get("classes", (12,)))})
                for login in values["logins"]
            )
        return cls(**values)


@dataclass
class Session:
    login: Login
    until: float


@dataclass
class Answer:
    body: str = ""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    kind: str = "text/html; charset=utf-8"


class Drop(Exception):
    """Ends the connection without an answer."""


class Site:
    """The state of the site; one lock around everything that changes."""

    def __init__(self, config: Config | None = None, log: Path | None = None) -> None:
        self.config = config or Config()
        self.lock = threading.RLock()
        self.logins = {login.name: login for login in self.config.logins}
        self.articles: dict[int, Article] = {}
        self.comments: list[Comment] = []
        self.sessions: dict[str, Session] = {}
        self.wrong: Counter[str] = Counter()
        self.faults: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.comment_log: list[dict[str, Any]] = []
        self._file = log.open("a", encoding="utf-8") if log else None
        self._random = random.Random(self.config.seed)
        self._pages: dict[tuple[Any, ...], str] = {}
        self._by_article: dict[int, list[Comment]] = {}
        self._server: ThreadingHTTPServer | None = None
        classes = sorted({number for login in self.config.logins for number in login.classes})
        for _ in range(self.config.articles_per_class):
            for number in classes:
                self._write_article(classroom=number)

    # -- running

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self, host: str = "127.0.0.1", port: int = 0) -> "Site":
        handler = type("SiteHandler", (Handler,), {"site": self})
        self._server = Server((host, port), handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="site"
        ).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- control

    def add_articles(self, wanted: dict[str, Any] | list[dict[str, Any]]) -> list[int]:
        with self.lock:
            if isinstance(wanted, dict) and "count" in wanted:
                classes = wanted.get("classes") or sorted(
                    {n for login in self.config.logins for n in login.classes}
                )
                return [
                    self._write_article(classroom=classes[i % len(classes)]).id
                    for i in range(wanted["count"])
                ]
            return [
                self._write_article(**one).id for one in ([wanted] if isinstance(wanted, dict) else wanted)
            ]

    def set_faults(self, faults: dict[str, Any]) -> None:
        unknown = set(faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}")
        with self.lock:
            ending = faults.pop("expire_sessions", None)
            if ending:
                names = self.logins if ending is True else ending
                self.sessions = {
                    key: one for key, one in self.sessions.items() if one.login.name not in names
                }
            for name, value in faults.items():
                if value:
                    self.faults[name] = value
                else:
                    self.faults.pop(name, None)
            self._pages.clear()

    def fault(self, **faults: Any) -> None:
        self.set_faults(faults)

    def unlock(self, name: str) -> None:
        with self.lock:
            self.wrong.pop(name, None)

    def note(self, kind: str, **entry: Any) -> dict[str, Any]:
        with self.lock:
            (self.requests if kind == "request" else self.comment_log).append(entry)
            if self._file is not None:
                self._file.write(json.dumps({"kind": kind, **entry}, ensure_ascii=False) + "\n")
                self._file.flush()
        return entry

    def take(self, name: str) -> bool:
        """Uses up one of a fault that counts."""
        with self.lock:
            left = int(self.faults.get(name, 0))
            if left <= 1:
                self.faults.pop(name, None)
            else:
                self.faults[name] = left - 1
            return left > 0

    def take_from(self, name: str, method: str, path: str) -> dict[str, Any] | None:
        """Uses up one of a fault that counts and may be meant for some requests only."""
        with self.lock:
            fault = self.faults.get(name)
            if (
                not fault
                or not path.startswith(fault.get("path", ""))
                or method != fault.get("method", method)
            ):
                return None
            fault["times"] = fault.get("times", 1) - 1
            if fault["times"] <= 0:
                self.faults.pop(name, None)
            return dict(fault)

    # -- content

    def _write_article(self, *, classroom: int = 12, **given: Any) -> Article:
        number = len(self.articles) + 1
        dice = self._random
        topic = " und ".join(dice.sample(WORDS, 2))
        paragraphs = [
            f"{dice.choice(WORDS)} und {dice.choice(WORDS)}: das ist Absatz {i} von Text {number}. " * 3
            for i in (1, 2, 3)
        ]
        values: dict[str, Any] = {
            "title": f"{topic} ({number})",
            "author": (
                f"{dice.choice(('Lia', 'Noa', 'Tim', 'Eva'))} {dice.choice(('Keller', 'Rossi', 'Suter'))}"
            ),
            "category": dice.choice(list(CATEGORIES)),
            "task": dice.choice(list(TASKS)),
            "paragraphs": paragraphs,
            "at": START + timedelta(hours=7 * number),
            "status": "publiziert",
            **given,
        }
        if isinstance(values["at"], str):
            values["at"] = datetime.fromisoformat(values["at"])
        article = Article(id=number, classroom=classroom, **values)
        self.articles[number] = article
        self._pages.clear()
        return article

    def visible_to(self, login: Login, article: Article) -> bool:
        if article.author == login.student or (login.teacher and article.classroom in login.classes):
            return True
        return article.status == "publiziert" and article.classroom in login.classes

    def shown_comments(self, login: Login, article: Article) -> list[Comment]:
        mine = {login.student, article.author} if login.teacher else {login.student}
        everything = login.teacher or article.author == login.student
        return [
            c for c in self._by_article.get(article.id, ()) if not c.hidden or everything or c.author in mine
        ]

    def accept(self, article: Article, login: Login, text: str, hidden: bool) -> Comment:
        with self.lock:
            comment = Comment(
                len(self.comments) + 1, article.id, login.name, login.student, text, hidden, time.time()
            )
            self.comments.append(comment)
            self._by_article.setdefault(article.id, []).append(comment)
        self.note(
            "comment",
            at=comment.at,
            id=comment.id,
            login=login.name,
            author=login.student,
            article=article.id,
            text=text,
            hidden=hidden,
        )
        return comment

    # -- login

    def log_in(self, name: str, password: str) -> str | None:
        """A session's key, or None; five wrong passwords in a row lock a login."""
        with self.lock:
            login = self.logins.get(name)
            wrong = (
                login is None or password != login.password or name in self.faults.get("wrong_password", ())
            )
            if wrong or self.is_locked(name):
                self.wrong[name] += 1
                return None
            self.wrong.pop(name, None)
            key = secrets.token_hex(16)
            self.sessions[key] = Session(self.logins[name], time.time() + self.config.session_seconds)
            return key

    def is_locked(self, name: str) -> bool:
        return self.wrong[name] >= self.config.lock_after or name in self.faults.get("locked", ())

    def session(self, key: str | None) -> Session | None:
        with self.lock:
            found = self.sessions.get(key or "")
            return found if found and found.until > time.time() else None

    # -- pages, cached: a list of articles is the same until something changes

    def list_page(self, login: Login, tab: str, category: int | None, task: int | None) -> str:
        key = ("list", login.name, tab, category, task)
        with self.lock:
            if key not in self._pages:
                self._pages[key] = self._list_page(login, tab, category, task)
            return self._pages[key]

    def _list_page(self, login: Login, tab: str, category: int | None, task: int | None) -> str:
        seen = [
            a
            for a in sorted(self.articles.values(), key=lambda a: a.at, reverse=True)
            if self.visible_to(login, a)
        ]
        wanted = [a for a in seen if category in (None, a.category) and task in (None, a.task)]
        panes = {"home": [a for a in wanted if a.author == login.student], "alle": wanted}
        for number in login.classes:
            panes[str(number)] = [a for a in wanted if a.classroom == number]
        shown = tab if tab in panes else "alle"
        return _filters(shown, category, task) + (
            _table(panes[shown]) if login.teacher else _pills(panes, shown)
        )


def _filters(tab: str, category: int | None, task: int | None) -> str:
    def select(name: str, options: dict[int, str], chosen: int | None) -> str:
        lines = "".join(
            f'<option value="{n}"{" selected" if n == chosen else ""}>{escape(t)}</option>'
            for n, t in options.items()
        )
        return f'<select name="{name}"><option value="">---------</option>{lines}</select>'

    return (
        '<form method="get"'
        f' action="/articles/">{select("kategorie", CATEGORIES, category)}{select("aufgabe", TASKS, task)}'
        f'<input type="hidden" name="tab" value="{escape(tab)}"></form>'
    )


def _pills(panes: dict[str, list[Article]], shown: str) -> str:
    names = {"home": "Meine Texte", "alle": "Alle"}
    buttons = "".join(
        f'<li class="nav-item"><button class="nav-link{" active" if key == shown else ""}" role="tab"'
        f' data-bs-target="#pills-{key}">'
        f"{names.get(key, f'Klasse {key}')}</button></li>"
        for key in panes
    )
    bodies = "".join(
        f'<div class="tab-pane{" show active" if key == shown else ""}" id="pills-{key}" role="tabpanel">'
        f'<div class="article-list">{"".join(_card(a) for a in articles)}</div></div>'
        for key, articles in panes.items()
    )
    return (
        f'<ul class="nav nav-pills" id="pills-tab" role="tablist">{buttons}</ul><div'
        f' class="tab-content">{bodies}</div>'
    )


def _card(article: Article) -> str:
    return (
        f'<div class="card"><div class="card-header {article.status}"></div><div class="card-body"><a'
        f' href="/article/{article.id}/"><div class="article-title">{escape(article.title)}</div></a><div'
        f' class="article-author">{escape(article.author)}</div><div'
        f' class="article-date">{_german(article.at)}</div><div class="article-classroom">Klasse'
        f" {article.classroom}</div></div></div>"
    )


def _table(articles: list[Article]) -> str:
    rows = "".join(
        f'<tr><td><a href="/article/{a.id}/">{escape(a.title)}</a></td><td>{escape(a.author)}</td><td>Klasse'
        f" {a.classroom}</td>"
        f"<td>{escape(CATEGORIES[a.category])}</td><td>{len(a.paragraphs)}</td><td>{a.status.capitalize()}</td>"
        f"<td>{a.at:%d.%m.%Y}</td></tr>"
        for a in articles
    )
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("Titel", "Autor/in", "Sichtbar", "Kategorie", "Absätze", "Status", "Datum")
    )
    return f'<table class="table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _german(at: datetime) -> str:
    return f"{at:%d.%m.%Y} um {at:%H:%M} Uhr"


def _article_body(article: Article, comments: list[Comment], token: str, form_error: str, draft: str) -> str:
    text = "".join(f"<p>{escape(p)}</p>" for p in article.paragraphs)
    shown = "".join(
        f'<div class="comment" id="comment-{c.id}"><div class="comment-author">{escape(c.author)}</div><div'
        f' class="comment-text">{c.text}</div></div>'
        for c in comments
    )
    errors = f'<ul class="errorlist"><li>{escape(form_error)}</li></ul>' if form_error else ""
    options = "".join(
        f'<option value="{n}">{t}</option>'
        for n, t in ((10, "Entwurf"), (11, "Lehrpersonenkontrolle"), (20, "Publiziert"), (30, "Archiviert"))
    )
    return (
        f'<h1>{escape(article.title)} von {escape(article.author)}</h1><ul class="list-group"><li'
        f' class="list-group-item">Kategorie: {escape(CATEGORIES[article.category])}</li><li'
        f' class="list-group-item">Aufgabe: {escape(TASKS[article.task])}</li></ul><div class="article"><div'
        f' class="article-date">{_german(article.at)}</div><div'
        f' class="highlight-target">{text}</div></div><section'
        f' class="comments"><h2>Kommentare</h2>{shown}</section><form id="comment-create" method="post"'
        f' action="/article/{article.id}/comment/">{errors}<input type="hidden" name="csrfmiddlewaretoken"'
        f' value="{token}"><textarea name="text">{escape(draft)}</textarea><select'
        f' name="status">{options}</select><input type="hidden" name="highlight"><input type="checkbox"'
        ' name="hide"><button>Senden</button></form>'
    )


def _changed(html: str) -> str:
    """The same page after somebody's redesign."""
    for old, new in (
        ("pills-", "tabs-"),
        ("article-list", "story-grid"),
        ("highlight-target", "story-body"),
        ('class="article"', 'class="story"'),
        ("comment-create", "new-comment"),
        ('class="comment"', 'class="reply"'),
        ("<h1>", "<h2>"),
        ("</h1>", "</h2>"),
        ('class="table"', 'class="rows"'),
        ("<table", "<section"),
        ("</table", "</section"),
    ):
        html = html.replace(old, new)
    return html


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nobody's error."""


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"
    server_version = "mymoment-stand-in"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    timeout = 120

    def log_message(self, *args: Any) -> None:
        """Has a log of its own."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        arrived = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path.startswith("/_control/"):
            self._send(self._control(method, url.path, body))
            return
        self.form = {
            name: values[-1]
            for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()
        }
        self.cookies = self._cookies()
        session = self.site.session(self.cookies.get("sessionid"))
        name = session.login.name if session else None
        entry = self.site.note(
            "request",
            at=arrived,
            login=name,
            method=method,
            path=url.path,
            agent=self.headers.get("User-Agent", ""),
            status=None,
        )
        try:
            answer = self._faulty(method, url.path) or self._page(method, url.path, session)
        except Drop:
            self.close_connection = True
            return
        entry["status"] = answer.status
        self._send(answer)

    def _cookies(self) -> dict[str, str]:
        try:
            return {
                name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()
            }
        except CookieError:
            return {}

    def _send(self, answer: Answer) -> None:
        data = answer.body.encode("utf-8", "surrogateescape")
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        for header, value in answer.headers:
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    # -- faults

    def _faulty(self, method: str, path: str) -> Answer | None:
        faults = self.site.faults
        if not faults:
            return None
        if faults.get("slow_seconds"):
            time.sleep(float(faults["slow_seconds"]))
        limit = self.site.take_from("rate_limit", method, path)
        if limit:
            return Answer("Zu viele Anfragen", 429, [("Retry-After", str(limit.get("retry_after", 1)))])
        error = self.site.take_from("errors", method, path)
        if error:
            return Answer("<h1>Server Error</h1>", error.get("status", 500))
        canned = faults.get("canned", {}).get(path)
        if canned:
            body = canned.get("body", "") * canned.get("repeat", 1)
            kind = canned.get("kind", "text/html; charset=utf-8")
            return Answer(body, canned.get("status", 200), list(canned.get("headers", {}).items()), kind)
        return None

    # -- pages

    def _page(self, method: str, path: str, session: Session | None) -> Answer:
        if path == "/accounts/login/":
            return self._login(method)
        if path in ("/feed.xml", "/atom.xml"):
            return self._feed(path)
        parts = path.strip("/").split("/")
        if parts[0] == "blog" and len(parts) == 2:
            return self._blog(parts[1])
        if path == "/":
            return self._html("<h1>Willkommen</h1>", session)
        if session is None:
            return self._redirect(f"/accounts/login/?next={path}")
        if path == "/accounts/logout/" and method == "POST":
            self.site.sessions.pop(self.cookies.get("sessionid", ""), None)
            return self._redirect("/")
        if path == "/articles/":
            page = self.site.list_page(
                session.login,
                self.query.get("tab", "home"),
                self._number("kategorie"),
                self._number("aufgabe"),
            )
            return self._html(page, session)
        if parts[0] == "article" and len(parts) in (2, 3):
            article = self.site.articles.get(int(parts[1]) if parts[1].isdigit() else 0)
            if article is None or not self.site.visible_to(session.login, article):
                return Answer("<h1>Nicht gefunden</h1>", 404)
            if len(parts) == 2:
                return self._article(article, session)
            if parts[2] == "comment" and method == "POST":
                return self._comment(article, session)
        return Answer("<h1>Nicht gefunden</h1>", 404)

    def _number(self, name: str) -> int | None:
        """Like the real site: what is no known number is ignored."""
        text = self.query.get(name, "")
        return int(text) if text.isdigit() and int(text) in (CATEGORIES | TASKS) else None

    def _token(self, answer: Answer | None = None) -> str:
        """The secret of the cookie, masked anew for each form."""
        secret = self.cookies.get("csrftoken")
        if not secret or len(secret) != 32:
            secret = self.cookies["csrftoken"] = secrets.token_hex(16)
        return secrets.token_hex(16) + secret

    def _csrf_failure(self) -> Answer | None:
        secret = self.cookies.get("csrftoken", "")
        referer = urlsplit(self.headers.get("Referer", ""))
        if (
            len(secret) == 32
            and self.form.get("csrfmiddlewaretoken", "")[32:] == secret
            and referer.netloc == self.headers.get("Host")
        ):
            return None
        return Answer("<h1>CSRF verification failed</h1>", 403)

    def _html(self, content: str, session: Session | None, status: int = 200) -> Answer:
        token = self._token()
        if session:
            nav = (
                f'<span class="navbar-text">{escape(session.login.student)}</span><form method="post"'
                ' action="/accounts/logout/"><input type="hidden" name="csrfmiddlewaretoken"'
                f' value="{token}"><button>Abmelden</button></form>'
            )
        else:
            nav = '<a href="/accounts/login/">Anmelden</a>'
        page = (
            '<!DOCTYPE html><html lang="de"><head><meta'
            f' charset="utf-8"><title>myMoment</title></head><body><nav>{nav}</nav>'
            f"<main>{content}</main></body></html>"
        )
        if self.site.faults.get("changed_layout"):
            page = _changed(page)
        return Answer(
            page,
            status,
            [
                (
                    "Set-Cookie",
                    f"csrftoken={self.cookies['csrftoken']}; Path=/; Max-Age=31449600; SameSite=Lax",
                )
            ],
        )

    def _redirect(self, path: str) -> Answer:
        """The real site's own bug: backslashes in the Location header."""
        location = path if self.site.faults.get("straight_redirects") else path.replace("/", "\\/")
        return Answer("", 302, [("Location", location)])

    def _login(self, method: str, error: str = "") -> Answer:
        if method == "POST":
            failed = self._csrf_failure()
            if failed:
                return failed
            name = self.form.get("username", "")
            key = self.site.log_in(name, self.form.get("password", ""))
            if key is None:
                locked = self.site.is_locked(name)
                told = (
                    "Dieses Konto ist gesperrt."
                    if locked
                    else f"Benutzername {name} und Passwort passen nicht zusammen."
                )
                return self._login("GET", told)
            answer = self._redirect("/")
            answer.headers.append(
                (
                    "Set-Cookie",
                    (
                        f"sessionid={key}; HttpOnly; Path=/; Max-Age={self.site.config.session_seconds};"
                        " SameSite=Lax"
                    ),
                )
            )
            answer.headers.append(
                ("Set-Cookie", f"csrftoken={secrets.token_hex(16)}; Path=/; Max-Age=31449600; SameSite=Lax")
            )
            return answer
        alert = f'<div class="alert alert-danger">{escape(error)}</div>' if error else ""
        form = (
            f'<form method="post" action="/accounts/login/">{alert}<input type="hidden"'
            f' name="csrfmiddlewaretoken" value="{self._token()}"><input type="hidden" name="next"'
            ' value=""><input name="username"><input type="password"'
            ' name="password"><button>OK</button></form>'
        )
        return self._html(form, None)

    def _article(self, article: Article, session: Session, form_error: str = "", draft: str = "") -> Answer:
        comments = self.site.shown_comments(session.login, article)
        return self._html(_article_body(article, comments, self._token(), form_error, draft), session)

    def _comment(self, article: Article, session: Session) -> Answer:
        site = self.site
        if site.take("expire_before_post"):
            site.sessions.pop(self.cookies.get("sessionid", ""), None)
            return self._redirect(f"/accounts/login/?next=/article/{article.id}/")
        failed = self._csrf_failure()
        if failed:
            return failed
        text = self.form.get("text", "")
        if site.take("drop_before_post"):
            raise Drop
        if site.faults.get("refuse_comments"):
            return self._article(article, session, str(site.faults["refuse_comments"]), text)
        if not text.strip():
            return self._article(article, session, "Dieses Feld ist zwingend erforderlich.", text)
        if self.form.get("status") not in ("10", "11", "20", "30"):
            return self._article(article, session, "Bitte eine gültige Auswahl treffen.", text)
        site.accept(article, session.login, text, self.form.get("hide") == "on")
        if site.take("drop_after_post"):
            raise Drop
        if site.take("error_after_post"):
            return Answer("<h1>Server Error</h1>", 500)
        return self._redirect(f"/article/{article.id}/")

    # -- the same articles for everybody

    def _public(self) -> list[Article]:
        with self.site.lock:
            published = [a for a in self.site.articles.values() if a.status == "publiziert"]
        return sorted(published, key=lambda a: a.at, reverse=True)[:50]

    def _feed(self, path: str) -> Answer:
        if self.site.faults.get("changed_layout"):
            return Answer("<html><body><h1>Unser Feed ist umgezogen</h1></body></html>")
        host = f"http://{self.headers.get('Host')}"
        if path == "/feed.xml":
            items = "".join(
                f"<item><title>{escape(a.title)}</title><link>{host}/blog/{a.id}/</link><guid>{host}/blog/{a.id}/</guid>"
                f"<author>{escape(a.author)}</author><category>{escape(CATEGORIES[a.category])}</category>"
                f"<pubDate>{format_datetime(a.at)}</pubDate><description>{escape(a.paragraphs[0])}</description></item>"
                for a in self._public()
            )
            rss = (
                '<?xml version="1.0" encoding="utf-8"?><rss'
                f' version="2.0"><channel><title>Blog</title>{items}</channel></rss>'
            )
            return Answer(rss, kind="application/rss+xml")
        entries = "".join(
            f"<entry><title>{escape(a.title)}</title><link"
            f' href="{host}/blog/{a.id}/"/><id>urn:blog:{a.id}</id>'
            f"<author><name>{escape(a.author)}</name></author><updated>{a.at.isoformat()}</updated>"
            f"<summary>{escape(a.paragraphs[0])}</summary></entry>"
            for a in self._public()
        )
        atom = (
            '<?xml version="1.0" encoding="utf-8"?><feed'
            f' xmlns="http://www.w3.org/2005/Atom"><title>Blog</title>{entries}</feed>'
        )
        return Answer(atom, kind="application/atom+xml")

    def _blog(self, number: str) -> Answer:
        article = self.site.articles.get(int(number) if number.isdigit() else 0)
        if article is None or article.status != "publiziert":
            return Answer("<h1>Nicht gefunden</h1>", 404)
        text = "".join(f"<p>{escape(p)}</p>" for p in article.paragraphs)
        return self._html(
            f"<article><h1>{escape(article.title)}</h1>{text}<aside>Werbung</aside></article>", None
        )

    # -- control

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        site = self.site
        try:
            given = json.loads(body) if body else {}
            if path == "/_control/log":
                since = int(self.query.get("since", "0"))
                with site.lock:
                    value: Any = {
                        "requests": site.requests[since:],
                        "comments": site.comment_log,
                        "next": len(site.requests),
                    }
                    return _json(value)
            if path == "/_control/articles":
                if method == "POST":
                    return _json({"ids": site.add_articles(given)})
                with site.lock:
                    return _json(
                        [
                            {"id": a.id, "title": a.title, "author": a.author, "class": a.classroom}
                            for a in site.articles.values()
                        ]
                    )
            if path == "/_control/faults":
                if method == "POST":
                    site.set_faults(given)
                return _json({"active": site.faults, "known": FAULTS})
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"error": "log, articles, faults"}, 404)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False, default=str), status, kind="application/json")


@contextmanager
def running(config: Config | None = None, log: Path | None = None) -> Iterator[Site]:
    """The site on a free loopback port, inside this process."""
    site = Site(config, log).start()
    try:
        yield site
    finally:
        site.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the writing platform myMoment.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", help="JSON, or a file with it")
    parser.add_argument("--log", type=Path, help="each request and comment as a line of JSON")
    given = parser.parse_args()
    text = given.config or "{}"
    config = Config.from_json(
        text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
    )
    site = Site(config, given.log).start(given.host, given.port)
    print(f"listening on {site.url}", flush=True)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # process 1 of a container has no default for these
        signal.signal(number, lambda *_: ending.set())
    ending.wait()
    site.stop()


if __name__ == "__main__":
    main()
