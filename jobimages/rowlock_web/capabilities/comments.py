"""A site that takes comments, and their contract: what is posted begins with the disclosure, for every
reader to see, and holds nothing but plain markup.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Protocol

from selectolax.lexbor import LexborHTMLParser

from rowlock_jobs.task import InputError

# No attribute and no other element: a style or a comment could hide the disclosure, and links or scripts must
# not come from a model.
_ALLOWED = ("p", "br", "strong", "em", "b", "i", "u", "ul", "ol", "li", "blockquote")
_ALLOWED_TAG = re.compile(rf"</?(?:{'|'.join(_ALLOWED)})\s*/?>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[a-z/!?][^\s>]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DisclosedText:
    """A comment (HTML) that may be posted, and its prefix (plain text): the only thing that
    `Comments.comment` takes, so that no site can forget the rule.

    Raises InputError: PrefixMissing (the prefix is empty), NotDisclosed (the text does not begin with it, or
    is nothing else), CommentMarkup (HTML beyond plain paragraphs, emphasis and lists).
    """

    text: str
    prefix: str

    def __post_init__(self) -> None:
        prefix = _without_space(self.prefix)
        if not prefix:
            raise InputError(
                "PrefixMissing", "the AI disclosure prefix is empty; every comment must begin with one"
            )
        foreign = _ANY_TAG.search(_ALLOWED_TAG.sub(" ", self.text))
        if foreign:
            allowed = ", ".join(_ALLOWED)
            raise InputError(
                "CommentMarkup",
                f"the comment holds {foreign[0][:20]!r}; only {allowed} without attributes may be posted",
            )
        seen = visible(self.text)
        if not seen.startswith(prefix):
            raise InputError(
                "NotDisclosed", "the comment does not begin with the AI disclosure prefix; generate it anew"
            )
        if seen == prefix:
            raise InputError(
                "NotDisclosed", "the comment is nothing but the AI disclosure prefix; generate it anew"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentReceipt:
    """The site has taken the comment. `comment_id` is None where the article page did not show it
    afterwards.
    """

    article_id: str
    comment_id: str | None


class Comments(Protocol):
    """Both methods may raise SiteError, SessionExpired and InputError."""

    def comment(self, article_id: str, text: DisclosedText, *, hidden: bool) -> CommentReceipt:
        """Posts by exactly one POST. Raises PostUnknown where its answer was lost, RefusedBySite where the
        site said no.
        """

    def find_comment(self, article_id: str, text: str, author: str = "") -> str | None:
        """The id of this author's (by default the login's own) comment with this text, by looking at the
        article; None = it is surely not there.
        """


def visible(html: str) -> str:
    """What a reader sees of a piece of HTML, without white space: two comments are the same if this is,
    however a site wraps them.
    """
    body = LexborHTMLParser(html).body
    return _without_space(body.text()) if body else ""


def _without_space(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
