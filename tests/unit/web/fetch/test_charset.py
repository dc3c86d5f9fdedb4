"""A page's text is read as a browser would read it."""

import pytest

from rowlock_web.fetch.charset import decoded
from rowlock_web.fetch.page import Page

WORDS = "Grüße, „Mädchen“ – 5 €"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (WORDS.encode("utf-8"), None),
        (WORDS.encode("utf-8"), "text/html; charset=utf-8"),
        (WORDS.encode("cp1252"), "text/html; charset=iso-8859-1"),
        (WORDS.encode("cp1252"), 'text/html; charset="Windows-1252"'),
        (b'<meta charset="latin1">' + WORDS.encode("cp1252"), "text/html"),
        (b"\xef\xbb\xbf" + WORDS.encode("utf-8"), "text/html; charset=iso-8859-1"),
        (WORDS.encode("utf-16-le"), "text/html; charset=utf-16le"),
        (b"\xff\xfe" + WORDS.encode("utf-16-le"), None),
    ],
    ids=["nothing said", "header", "latin1 means cp1252", "quoted", "meta", "mark first", "utf-16", "mark"],
)
def test_what_is_declared_is_how_it_is_read(body: bytes, content_type: str | None) -> None:
    text = decoded(body, content_type)
    assert text.endswith(WORDS)
    assert "\ufeff" not in text


@pytest.mark.parametrize(
    "codec", ["punycode", "idna", "rot13", "zlib", "hex", "unicode_escape", "utf-7", "undefined", "hz", "x"]
)
@pytest.mark.parametrize("in_header", [True, False], ids=["header", "meta"])
def test_a_codec_that_no_browser_knows_is_not_followed(codec: str, in_header: bool) -> None:
    words = WORDS + " +ADw-script+AD4- \\x41"
    meta = f'<meta charset="{codec}">'.encode()
    body = words.encode() if in_header else meta + words.encode()
    assert decoded(body, f"text/html; charset={codec}" if in_header else None).endswith(words)


def test_a_header_that_names_no_usable_charset_leaves_the_word_to_the_page() -> None:
    body = b'<meta charset="iso-8859-1">' + WORDS.encode("cp1252")
    assert decoded(body, "text/html; charset=rot13").endswith(WORDS)


def test_damage_becomes_a_replacement_character_and_no_error() -> None:
    assert Page("https://h/x", 200, b"a\xffb").text == "a\ufffdb"


def test_an_unknown_charset_is_read_as_utf_8() -> None:
    content_type = "text/html; charset=klingon"
    assert Page("https://m.example/", 200, "schön".encode(), content_type).text == "schön"
