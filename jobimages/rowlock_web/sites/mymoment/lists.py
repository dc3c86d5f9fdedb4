"""The page /articles/: tabs with cards, or the table that teachers see. Pure."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rowlock_jobs.task import InputError
from rowlock_web.capabilities.articles import ArticleFilter, ArticleRef
from rowlock_web.errors import layout_changed
from rowlock_web.markup import text_of, value_of, words
from rowlock_web.sites.mymoment.german_dates import german_date

PATH = "/articles/"
WIDEST_TAB = "alle"
_ARTICLE = re.compile(r"/article/(\d+)/")
_TEACHER_COLUMNS = 7
_STATUSES = ("publiziert", "entwurf", "lehrpersonenkontrolle")
_PUBLISHED = ("", "publiziert")
"""Some lists show no state: they hold what is published."""


def article_list(html: str, wanted: ArticleFilter, *, tab: str) -> list[ArticleRef]:
    """The articles of one tab, as the server filtered them, in its order.

    Raises InputError UnknownTab, UnknownFilter; SiteError LayoutChanged.
    """
    tree = LexborHTMLParser(html)
    _offered(tree, "kategorie", wanted.category)
    _offered(tree, "aufgabe", wanted.task)
    tabs = _tabs(tree)
    if tabs:
        if tab not in tabs:
            # The site would show all tabs at once, that is, articles that were not asked for.
            raise InputError("UnknownTab", f"this login has no tab {tab!r}; it has {', '.join(tabs)}")
        pane = tree.css_first(f'div[id="pills-{tab}"]')
        if pane is None:
            raise layout_changed(PATH, f"div#pills-{tab}")
        return _content(pane)
    if tree.css_first("table") is None:
        raise layout_changed(PATH, "ul#pills-tab with the tabs, nor a teacher's table")
    shown = value_of(tree, 'input[name="tab"]')
    if shown and shown != tab:
        raise InputError("UnknownTab", f"this login has no tab {tab!r}; the site shows {shown!r} instead")
    return _content(tree)


def _tabs(tree: LexborHTMLParser) -> list[str]:
    targets = (
        button.attributes.get("data-bs-target") or ""
        for button in tree.css('ul#pills-tab button[role="tab"]')
    )
    return [target.removeprefix("#pills-") for target in targets if target.startswith("#pills-")]


def _offered(tree: LexborHTMLParser, name: str, wanted: int | None) -> None:
    """The server ignores an id that it does not know, and shows everything."""
    if wanted is None:
        return
    options = tree.css(f'select[name="{name}"] option')
    if not options:
        raise layout_changed(PATH, f"select {name} with options")
    offered = {option.attributes.get("value") or "": words(option) for option in options}
    if str(wanted) not in offered:
        known = ", ".join(f"{value} ({title})" for value, title in offered.items() if value)
        raise InputError("UnknownFilter", f"the site knows no {name} {wanted}; it knows {known}")


def _content(pane: LexborNode | LexborHTMLParser) -> list[ArticleRef]:
    articles = pane.css_first("div.article-list")
    if articles is not None:
        cards = articles.css(".card")
        if not cards and articles.css_first('a[href*="/article/"]'):
            raise layout_changed(PATH, ".card around each article")
        return [_card(card) for card in cards]
    if pane.css_first("table") is not None:
        return [_row(row) for row in pane.css("table tbody tr") if row.css_first("td a")]
    raise layout_changed(PATH, "div.article-list")


def _card(card: LexborNode) -> ArticleRef:
    article_id = _id_in(card)
    title = text_of(card, ".article-title")
    if not title:
        raise layout_changed(PATH, f".article-title of article {article_id}")
    header = card.css_first(".card-header")
    classes = (header.attributes.get("class") or "").split() if header else []
    status = next((status for status in _STATUSES if status in classes), "")
    return ArticleRef(
        id=article_id,
        url=f"/article/{article_id}/",
        title=title,
        author=text_of(card, ".article-author"),
        published_at=german_date(text_of(card, ".article-date")),
        status=status,
        published=status in _PUBLISHED,
        classroom=text_of(card, ".article-classroom"),
    )


def _row(row: LexborNode) -> ArticleRef:
    cells = row.css("td")
    if len(cells) < _TEACHER_COLUMNS:
        raise layout_changed(PATH, f"{_TEACHER_COLUMNS} columns in the teacher's table (it has {len(cells)})")
    article_id, status = _id_in(row), words(cells[5]).casefold()
    return ArticleRef(
        id=article_id,
        url=f"/article/{article_id}/",
        title=words(cells[0]),
        author=words(cells[1]),
        classroom=words(cells[2]),
        status=status,
        published=status in _PUBLISHED,
        published_at=german_date(words(cells[6])),
    )


def _id_in(node: LexborNode) -> str:
    for link in node.css("a[href]"):
        if found := _ARTICLE.search(link.attributes.get("href") or ""):
            return found[1]
    raise layout_changed(PATH, "link to /article/<id>/ in an entry of the list")
