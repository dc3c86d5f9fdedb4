"""From a page's bytes to its text, as a browser would. Pure.

w3lib finds what is declared (byte order mark, Content-Type, <meta>, in this order) and reads latin1 as the
cp1252 that is meant by it. It would take any codec of Python's, also punycode and rot13: only those that a
browser knows pass, by the labels of webencodings.
"""

from functools import cache

from w3lib.encoding import (
    html_body_declared_encoding,
    http_content_type_encoding,
    read_bom,
    resolve_encoding,
    to_unicode,
)
from webencodings.labels import LABELS

_NO_ENCODING = "replacement"
"""The standard's name for encodings that are dangerous to read."""


def decoded(body: bytes, content_type: str | None = None) -> str:
    """The text; what cannot be read becomes U+FFFD. `content_type` is the header of that name.

    Without a declaration that a browser would follow it is read as UTF-8.
    """
    by_mark, mark = read_bom(body)
    if by_mark is not None and mark is not None:
        return to_unicode(body[len(mark) :], by_mark)
    declared = (http_content_type_encoding(content_type), html_body_declared_encoding(body))
    known = (codec for codec in declared if codec is not None and codec in _codecs_of_browsers())
    return to_unicode(body, next(known, "utf-8"))


@cache
def _codecs_of_browsers() -> frozenset[str]:
    """Python's names of the codecs that the labels of the Encoding Standard stand for."""
    found = (resolve_encoding(label) for label, name in LABELS.items() if name != _NO_ENCODING)
    return frozenset(codec for codec in found if codec is not None)
