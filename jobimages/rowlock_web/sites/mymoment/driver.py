"""myMoment, as one login sees it: which requests, in which order."""

import logging

from selectolax.lexbor import LexborHTMLParser

from rowlock_jobs.task import InputError, NeedsReauth, SiteError
from rowlock_web.capabilities.articles import Article, ArticleFilter, ArticleRef, chosen
from rowlock_web.capabilities.comments import CommentReceipt, DisclosedText, visible
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.errors import (
    PostUnknown,
    RefusedBySite,
    SessionExpired,
    layout_changed,
)
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.fetch.page import Page
from rowlock_web.markup import text_of, value_of
from rowlock_web.sites.mymoment import articles, lists

_LOGIN = "/accounts/login/"
_LOGIN_FORM = 'form input[name="password"]'
_LOGGED_IN = 'form[action="/accounts/logout/"]'
_OWN_NAME = ".navbar-text"
_TOKEN = 'input[name="csrfmiddlewaretoken"]'
_PUBLISHED = "20"
_LANGUAGE = "de-CH, de;q=0.9"
_log = logging.getLogger("rowlock.sites")


class MyMoment:
    """Offers logins, articles and comments."""

    def __init__(self, fetcher: Fetcher) -> None:
        fetcher.accept_language(_LANGUAGE)
        self._fetcher = fetcher

    def login(self, credentials: Credentials) -> None:
        """Three requests: the form, the POST, and whether it worked. Raises NeedsReauth, SiteError
        LayoutChanged.
        """
        self._fetcher.forget_cookies()
        form = self._fetcher.get(_LOGIN)
        token = value_of(LexborHTMLParser(form.text), _TOKEN)
        if not token:
            raise layout_changed(_LOGIN, "csrfmiddlewaretoken in the login form")
        fields = {
            "csrfmiddlewaretoken": token,
            "username": credentials.username,
            "password": credentials.password,
            "next": "",
        }
        try:
            answer = self._fetcher.post(_LOGIN, fields, referer=form.url)
        except PostUnknown as error:  # a login, unlike a comment, may be sent again
            raise SiteError("SiteAway", f"the login was not answered: {error}") from error
        except SessionExpired as error:
            raise SiteError(
                "LoginRefused", f"the login form was refused before the password was looked at: {error}"
            ) from error
        if answer.location is None:
            raise self._refused_login(answer)
        if not self.logged_in():
            raise layout_changed("/", f"{_LOGGED_IN} after a login that was accepted")

    def logged_in(self) -> bool:
        page = self._fetcher.get("/")
        return LexborHTMLParser(page.text).css_first(_LOGGED_IN) is not None

    def discover(self, wanted: ArticleFilter) -> list[ArticleRef]:
        """One request. The site filters by tab, category and task; search, order and limit are ours."""
        tab = wanted.tab or lists.WIDEST_TAB
        params = {"tab": tab}
        if wanted.category is not None:
            params["kategorie"] = str(wanted.category)
        if wanted.task is not None:
            params["aufgabe"] = str(wanted.task)
        page = self._page(lists.PATH, params)
        return chosen(lists.article_list(page.text, wanted, tab=tab), wanted)

    def article(self, ref_id: str) -> Article:
        page = self._article_page(ref_id)
        return articles.read_article(page.text, ref_id, page.url)

    def comment(self, article_id: str, text: DisclosedText, *, hidden: bool) -> CommentReceipt:
        """Three requests: the form, the POST, and a look at what became of it, which may fail without
        harm.
        """
        before = self._article_page(article_id)
        token = articles.form_token(before.text, article_id)
        self._fetcher.csrf = token
        fields = {"csrfmiddlewaretoken": token, "text": text.text, "status": _PUBLISHED, "highlight": ""}
        if hidden:
            fields["hide"] = "on"
        answer = self._fetcher.post(f"{articles.path(article_id)}comment/", fields, referer=before.url)
        known = {comment.id for comment in articles.comments(before.text)}
        if answer.location is not None:
            if _leads_to_login(answer.location):
                raise SessionExpired("the session ended before the comment was sent: log in again")
            return CommentReceipt(article_id=article_id, comment_id=self._look(article_id, text, known))
        posted = _new_comment(answer, text, known)
        if posted is not None:
            return CommentReceipt(article_id=article_id, comment_id=posted)
        raise _not_posted(answer)

    def find_comment(self, article_id: str, text: str, author: str = "") -> str | None:
        page = self._article_page(article_id)
        own = author or text_of(LexborHTMLParser(page.text), _OWN_NAME)
        if not own:
            raise layout_changed(articles.path(article_id), f"{_OWN_NAME} with the name of the login")
        return articles.find(page.text, article_id, text, own)

    def _article_page(self, article_id: str) -> Page:
        if not (article_id.isascii() and article_id.isdigit()):
            raise InputError("BadArticleId", f"{article_id!r} is no article id of myMoment: it is a number")
        return self._page(articles.path(article_id))

    def _page(self, path: str, params: dict[str, str] | None = None) -> Page:
        """A page for members; the login form in its place means that the session is over."""
        page = self._fetcher.get(path, params)
        if page.path == _LOGIN or LexborHTMLParser(page.text).css_first(_LOGIN_FORM) is not None:
            raise SessionExpired(f"{path} shows the login form: log in again")
        return page

    def _refused_login(self, answer: Page) -> SiteError:
        """The site's words are not repeated: they may hold the user name."""
        tree = LexborHTMLParser(answer.text)
        if tree.css_first(_LOGIN_FORM) is None and not text_of(tree, ".alert-danger"):
            return layout_changed(_LOGIN, "login form or error after a login")
        if "gesperrt" in text_of(tree, ".alert-danger, .errorlist").casefold():
            return NeedsReauth(
                "the site has locked this login after too many wrong passwords; unlock it there, then correct"
                " the Secret"
            )
        return NeedsReauth("the site does not accept this login's user name and password; correct the Secret")

    def _look(self, article_id: str, text: DisclosedText, known: set[str]) -> str | None:
        """The new comment's id, if it can be had."""
        try:
            return _new_comment(self._article_page(article_id), text, known)
        except Exception as error:  # noqa: BLE001 - whatever happens now, also a stop, the comment is posted
            _log.debug("comment_not_seen", extra={"rowlock": {"reason": type(error).__name__}})
            return None


def _leads_to_login(location: str) -> bool:
    return Page(location, 302, b"").path == _LOGIN


def _new_comment(page: Page, text: DisclosedText, known: set[str]) -> str | None:
    """The id of this login's comment with this text that was not there before; another login may well write
    the same words at the same moment.
    """
    wanted, own = visible(text.text), text_of(LexborHTMLParser(page.text), _OWN_NAME).casefold()
    new = [
        c.id
        for c in articles.comments(page.text)
        if c.id and c.id not in known and c.visible == wanted and own in ("", c.author.casefold())
    ]
    return new[-1] if new else None


def _not_posted(answer: Page) -> SiteError:
    """What a 200 without the comment means."""
    if LexborHTMLParser(answer.text).css_first(_LOGIN_FORM) is not None:
        return SessionExpired("the site answers a comment with its login form: log in again")
    errors = articles.form_errors(answer.text)
    if errors is None:
        return PostUnknown(
            "the site answers a comment with a page that shows neither the comment nor its form"
        )
    return RefusedBySite(
        f"the site refuses the comment: {errors or 'it shows the form again without a reason'}"
    )
