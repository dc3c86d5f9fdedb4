"""The page /article/<id>/: the text, the form for a comment, and the comments that are there. Pure."""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rowlock_jobs.task import InputError
from rowlock_web.capabilities.articles import Article
from rowlock_web.capabilities.comments import visible
from rowlock_web.errors import layout_changed
from rowlock_web.markup import text_of, value_of, words
from rowlock_web.sites.mymoment.german_dates import german_date

CATEGORIES = {
    4: "Anleiten",
    14: "Berichten",
    5: "Erklären",
    6: "Fragen",
    7: "Informieren",
    8: "Überzeugen",
    9: "Unterhalten",
}
FORM = "form#comment-create"
_ERRORS = ".errorlist li, .invalid-feedback, .alert-danger"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    author: str
    visible: str
    """As `disclosure.visible` makes it."""


def path(article_id: str) -> str:
    return f"/article/{article_id}/"


def read_article(html: str, article_id: str, url: str) -> Article:
    """Raises SiteError LayoutChanged.

    The heading says `<title> von <author>`: an author like `Anna von Arx` is cut; the list of articles knows
    the whole name.
    """
    tree = LexborHTMLParser(html)
    heading = text_of(tree, "h1")
    title, found, author = heading.rpartition(" von ")
    if not found:
        raise layout_changed(path(article_id), "h1 '<title> von <author>'")
    body = tree.css_first(".article")
    if body is None:
        raise layout_changed(path(article_id), ".article")
    facts = _facts(tree)
    category = facts.get("Kategorie", "")
    return Article(
        id=article_id,
        url=url,
        title=title,
        author=author,
        text=_text(tree, article_id),
        html=body.html or "",
        category=category,
        category_id=next((number for number, name in CATEGORIES.items() if name == category), None),
        task=facts.get("Aufgabe", ""),
        published_at=german_date(text_of(tree, ".article-date")),
    )


def form_token(html: str, article_id: str) -> str:
    """The CSRF token of the comment form. Raises SiteError LayoutChanged where there is no such form."""
    tree = LexborHTMLParser(html)
    if tree.css_first(FORM) is None:
        raise layout_changed(path(article_id), f"{FORM} (or nobody may comment on this article)")
    token = value_of(tree, f'{FORM} input[name="csrfmiddlewaretoken"]')
    if not token:
        raise layout_changed(path(article_id), f"csrfmiddlewaretoken in {FORM}")
    return token


def form_errors(html: str) -> str | None:
    """Why the site shows the form again, in its words ('' where it has none); None where there is no comment
    form.
    """
    form = LexborHTMLParser(html).css_first(FORM)
    return None if form is None else "; ".join(words(error) for error in form.css(_ERRORS))


def comments(html: str) -> list[Comment]:
    """The comments of the page, in its order."""
    return [_comment(node) for node in LexborHTMLParser(html).css(".comment")]


def find(html: str, article_id: str, text: str, author: str) -> str | None:
    """The newest comment of this author with this text.

    `None` must be certain, since it lets somebody post again: it is the answer where the words are nowhere on
    the page, whatever its layout, or where every place that has them names another author. Raises SiteError
    LayoutChanged where neither can be said.
    """
    wanted, there = visible(text), comments(html)
    if not wanted:
        raise InputError("EmptyComment", "a comment without words cannot be looked for")
    same = [comment for comment in there if comment.visible == wanted]
    recognised = sum(comment.visible.count(wanted) for comment in there)
    if visible(html).count(wanted) > recognised or not all(comment.author for comment in same):
        raise layout_changed(
            path(article_id),
            "a .comment with .comment-author and .comment-text around each text of a comment",
        )
    _must_be_article(html, article_id)
    mine = [comment for comment in same if comment.author.casefold() == author.strip().casefold()]
    return mine[-1].id if mine else None


def _must_be_article(html: str, article_id: str) -> None:
    """An empty or unfamiliar page proves nothing."""
    if LexborHTMLParser(html).css_first(".article") is None:
        raise layout_changed(path(article_id), ".article")


def _comment(node: LexborNode) -> Comment:
    number = _NUMBER.search(node.attributes.get("id") or node.attributes.get("data-comment-id") or "")
    body = node.css_first(".comment-text")
    return Comment(
        number[0] if number else "", text_of(node, ".comment-author"), visible((body or node).html or "")
    )


def _facts(tree: LexborHTMLParser) -> dict[str, str]:
    pairs = (words(item).partition(":") for item in tree.css("li.list-group-item"))
    return {name.strip(): value.strip() for name, found, value in pairs if found}


def _text(tree: LexborHTMLParser, article_id: str) -> str:
    paragraphs = [words(paragraph) for paragraph in tree.css(".article .highlight-target p")]
    if any(paragraphs):
        return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    spoken = tree.css_first("textarea#text-to-speech")
    if spoken is None:
        raise layout_changed(
            path(article_id), ".highlight-target p with the text, nor textarea#text-to-speech"
        )
    return spoken.text().strip()
