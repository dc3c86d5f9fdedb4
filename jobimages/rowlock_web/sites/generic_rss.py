"""Any site with an RSS or Atom feed: its base URL is the feed's. Articles are found and read, never commented
on.

Articles are read from the pages that the feed links to, as long as they are on the feed's host; otherwise the
feed's own text counts.
"""

from calendar import timegm
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import feedparser  # type: ignore[import-untyped]
import httpx2
from selectolax.lexbor import LexborHTMLParser

from rowlock_jobs.task import InputError, SiteError, TaskError
from rowlock_web.capabilities.articles import Article, ArticleFilter, ArticleRef, chosen
from rowlock_web.capabilities.offered import Site
from rowlock_web.errors import layout_changed, not_found
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.markup import words

_MAIN = ("article", "main", '[role="main"]', ".post", ".entry-content", "#content")
_MIN_CHARACTERS = 200
"""A shorter "main part" is a teaser or a navigation: the feed's text is better then."""


def open_site(fetcher: Fetcher) -> Site:
    """A feed asks nobody who he is, and takes no comments."""
    return Site(articles=Feed(fetcher))


class Feed:
    """The articles of one feed."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._entries: dict[str, Any] = {}

    def discover(self, wanted: ArticleFilter) -> list[ArticleRef]:
        if wanted.tab or wanted.category is not None or wanted.task is not None:
            raise InputError(
                "FilterNotSupported",
                "a feed has no tabs, categories and tasks; filter by search, or take the feed of a section",
            )
        self._read_feed()
        return chosen([_ref(entry_id, entry) for entry_id, entry in self._entries.items()], wanted)

    def article(self, ref_id: str) -> Article:
        if ref_id not in self._entries:
            self._read_feed()
        entry = self._entries.get(ref_id)
        if entry is None:
            raise not_found(ref_id)
        ref = _ref(ref_id, entry)
        html = self._linked(ref.url) or _feed_html(entry)
        return Article(
            id=ref.id,
            url=ref.url,
            title=ref.title,
            author=ref.author,
            text=_paragraphs(html),
            html=html,
            category=_category(entry),
            published_at=ref.published_at,
        )

    def _read_feed(self) -> None:
        page = self._fetcher.get()
        try:
            # A stream, never the bytes themselves: feedparser would take those for a file name or an address,
            # and open it.
            feed = feedparser.parse(BytesIO(page.body), response_headers={"content-location": page.url})
        except TaskError:  # the soft limit
            raise
        except Exception as error:  # noqa: BLE001 - KeyError, UnicodeDecodeError and others at damaged feeds
            raise SiteError("LayoutChanged", f"the feed {page.path} is damaged and cannot be read") from error
        if not feed.get("version"):
            raise layout_changed(page.path, "RSS or Atom feed")
        self._entries = {_id(entry): entry for entry in feed["entries"] if _id(entry)}
        if not self._entries and (feed["entries"] or feed.get("bozo")):
            raise layout_changed(page.path, "entry with an id or a link")

    def _linked(self, url: str) -> str | None:
        """The main part of the linked page; None where it is on another host or has none."""
        here = httpx2.URL(self._fetcher.base_url)
        try:
            there = httpx2.URL(url)
        except httpx2.InvalidURL:
            return None
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            return None
        tree = LexborHTMLParser(self._fetcher.get(url).text)
        parts = (tree.css_first(selector) for selector in _MAIN)
        return next(
            (part.html for part in parts if part is not None and len(words(part)) >= _MIN_CHARACTERS), None
        )


def _id(entry: Any) -> str:
    return str(_field(entry, "id") or _field(entry, "link") or "")


def _ref(entry_id: str, entry: Any) -> ArticleRef:
    moment = _field(entry, "published_parsed") or _field(entry, "updated_parsed")
    return ArticleRef(
        id=entry_id,
        url=str(_field(entry, "link") or ""),
        title=str(_field(entry, "title") or entry_id),
        author=str(_field(entry, "author") or ""),
        published_at=datetime.fromtimestamp(timegm(moment), UTC) if moment else None,
    )


def _category(entry: Any) -> str:
    terms = (str(_field(tag, "term") or "") for tag in _field(entry, "tags") or ())
    return ", ".join(term for term in terms if term)


def _feed_html(entry: Any) -> str:
    contents = (_field(content, "value") for content in _field(entry, "content") or ())
    return str(next((content for content in contents if content), None) or _field(entry, "summary") or "")


def _field(entry: Any, name: str) -> Any:
    """What stands there. The library's own access invents values from other fields, and fails where those are
    missing.
    """
    return dict.get(entry, name)


def _paragraphs(html: str) -> str:
    tree = LexborHTMLParser(html)
    for noise in tree.css("script, style, nav, aside, form, footer"):
        noise.decompose()
    parts = [words(paragraph) for paragraph in tree.css("p")]
    return "\n\n".join(part for part in parts if part) or (words(tree.body) if tree.body else "")
