"""From what a model wrote to a comment that may be posted, or a reason why not. Pure.

The model's markup never gets out: known tags are taken away, everything else is escaped, and the paragraphs
are made here.
"""

import html
import re
from dataclasses import dataclass

from rowlock_jobs.outcome import storable
from rowlock_llm.markup import plain_text
from rowlock_llm.templates import has_placeholder, without_tags

DEFAULT_PREFIX = "[Dieser Kommentar stammt von einem KI-ChatBot.]"

_WINDOW_WORDS = 100
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?]+\s+|\n+")
# A refusal speaks of itself and in its first words: "Leider konnte Tim nicht helfen" is a comment, "Leider
# kann ich nicht helfen" is none.
_NOT = r"(?:nicht|kein\w*|cannot|can['’]?t|unable|not able|won['’]?t)"
_TO_DO = (
    r"(?:helfen|kommentieren|beantworten|schreiben|verfassen|erfüllen|unterstützen"
    r"|help|comment|assist|answer|write|comply|provide)"
)
_REFUSAL = re.compile(
    r"(?:es tut mir leid|tut mir leid|leider|sorry|i['’]?m sorry|i am sorry|unfortunately|i apologi[sz]e"
    r"|als (?:eine? )?(?:ki|künstliche intelligenz|sprachmodell)|as an? (?:ai|large language model|language"
    r" model))\b.{0,40}?"
    rf"\b(?:ich|i|wir|we)\b[^.!?]{{0,40}}\b{_NOT}\b[^.!?]{{0,60}}\b{_TO_DO}"
    rf"|(?:i|we) (?:cannot|can['’]?t|won['’]?t|am unable to) {_TO_DO}",
    re.IGNORECASE | re.DOTALL,
)
_NOTHING = re.compile(
    r"\W*(?:n/?a|none|null|nil|kein kommentar|no comment|\w*comment_content|empty|leer)?\W*", re.IGNORECASE
)


class CommentRefused(ValueError):
    """The text must not be posted; `reason` in CamelCase, the message is a sentence that a model or a person
    can act on.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class CommentRules:
    prefix: str = DEFAULT_PREFIX
    """The disclosure every comment begins with; it cannot be empty."""
    min_characters: int = 50
    """Of the model's own text: the prefix alone would nearly reach it."""
    max_characters: int = 5_000
    """Of the whole comment as a reader sees it, prefix included."""
    min_unique_words: float = 0.5
    """Different words among the words; less is a model that repeats itself."""

    def __post_init__(self) -> None:
        if not _WORD.search(self.prefix) or "\n" in self.prefix or self.prefix != self.prefix.strip():
            raise ValueError(
                "the disclosure prefix must be one line of text without outer blanks: a comment without one"
                " is never posted"
            )
        if not 1 <= self.min_characters < self.max_characters - len(self.prefix):
            raise ValueError(
                f"the minimum of {self.min_characters} characters must be at least 1 and leave room for the"
                f" prefix below the maximum of {self.max_characters}"
            )
        if not 0 <= self.min_unique_words <= 1:
            raise ValueError(f"min_unique_words is {self.min_unique_words}; it is a share between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Comment:
    text: str
    """As a reader sees it."""
    html: str
    """As it is posted: `<p>` and `<br>` are the only tags in it."""


def compose(written: str, rules: CommentRules) -> Comment:
    """The comment made of what a model wrote. Raises CommentRefused with Empty, Refusal, TooShort, TooLong,
    UnresolvedPlaceholder, Repetitive.
    """
    body = without_prefix(plain_text(without_tags(storable(written))), rules.prefix)
    refuse_unfit(body, rules)
    text = f"{rules.prefix} {body}"
    if len(text) > rules.max_characters:
        raise CommentRefused(
            "TooLong",
            f"the comment has {len(text):,} characters; at most {rules.max_characters:,} are allowed",
        )
    return Comment(text=text, html=_paragraphs(text))


def refuse_unfit(body: str, rules: CommentRules) -> None:
    """Raises CommentRefused where the text, without its prefix, is not a comment. Its length upwards is
    `compose`'s.
    """
    if _NOTHING.fullmatch(body):
        raise CommentRefused("Empty", "the comment is empty")
    if _REFUSAL.match(body):
        raise CommentRefused("Refusal", "the model declined to comment instead of commenting")
    if len(body) < rules.min_characters:
        raise CommentRefused(
            "TooShort", f"the comment has {len(body)} characters; at least {rules.min_characters} are needed"
        )
    if has_placeholder(body):
        raise CommentRefused(
            "UnresolvedPlaceholder", "the comment holds a placeholder in braces that nothing was put in for"
        )
    share = unique_share(body)
    if share < rules.min_unique_words:
        raise CommentRefused(
            "Repetitive",
            f"the comment repeats itself: {share:.0%} different words, at least {rules.min_unique_words:.0%}"
            " are needed",
        )


def unique_share(text: str) -> float:
    """The smallest share of different words in any hundred words in a row, or of different sentences where
    there are four or more.

    Over a whole long text the share falls by itself (the small words return), and good comments would be
    refused for their length.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    if not words:
        return 0.0
    step = _WINDOW_WORDS // 2
    starts = range(0, max(1, len(words) - _WINDOW_WORDS + step), step)
    windows = [words[max(0, min(start, len(words) - _WINDOW_WORDS)) :][:_WINDOW_WORDS] for start in starts]
    share = min(len(set(window)) / len(window) for window in windows)
    sentences = [sentence.strip().lower() for sentence in _SENTENCE_END.split(text) if sentence.strip()]
    return min(share, len(set(sentences)) / len(sentences)) if len(sentences) >= 4 else share


def without_prefix(body: str, prefix: str) -> str:
    """The text without prefixes that the model wrote itself at its beginning, also ones with other blanks,
    case or lost brackets.
    """
    words = [re.escape(word) for word in re.findall(r"\w+|[^\w\s]", prefix.strip("[](){}<> "))]
    own = re.compile(
        r"[\s\[\](){}*_\"<>]*" + r"\s*".join(words) + r"(?!\w)[\s\[\](){}*_\"<>:]*", re.IGNORECASE
    )
    while match := own.match(body):
        body = body[match.end() :]
    return body.strip()


def _paragraphs(text: str) -> str:
    parts = [part.strip() for part in re.split(r"\n{2,}", text) if part.strip()]
    return "".join(f"<p>{html.escape(part, quote=False).replace(chr(10), '<br>')}</p>" for part in parts)
