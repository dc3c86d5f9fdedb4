"""Takes HTML and invisible characters out of what a model wrote. Pure.

Nothing here has to recognise every trick: what is left is escaped as a whole before it is posted.
"""

import html
import re

_BLOCKS = "p|div|ul|ol|h[1-6]|blockquote|pre|hr|section|article|html|body|table"
_INLINE = "li|tr|strong|b|em|i|u|s|span|a|font|small|sub|sup|code|mark|img|td|th"
_UNSEEN = re.compile(
    r"<(script|style|template|iframe|object|svg)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ITEM = re.compile(r"<li\b[^<>]*>", re.IGNORECASE)
_LINE = re.compile(r"<(?:br|tr)\b[^<>]*>", re.IGNORECASE)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_INLINE})\b[^<>]*>", re.IGNORECASE)
# Control characters, marks that turn the direction of text (they can make it read as something else), and
# zero-width ones that split a word for a filter and for nobody else; the joiners U+200C and U+200D are part
# of scripts and of emoji.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)


def plain_text(written: str) -> str:
    """Readable text: paragraphs are separated by one empty line, blanks are single, tags that people write
    are gone.
    """
    text = written.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNSEEN.sub("", text)
    text = _ITEM.sub("\n- ", text)
    text = _LINE.sub("\n", text)
    text = _BLOCK.sub("\n\n", text)
    text = html.unescape(_TAG.sub("", text)).replace("\N{NO-BREAK SPACE}", " ")
    text = _INVISIBLE.sub("", text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
