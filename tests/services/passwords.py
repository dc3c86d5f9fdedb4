"""Passwords as people and password makers choose them. HEAD and TAIL stand around what is odd: neither may be
seen anywhere.
"""

from urllib.parse import quote

HEAD, TAIL = "Kq7vHead", "Zr9wTail"

_ODD = {
    "slash": "/",
    "hash": "#",
    "question": "?",
    "at": "@",
    "colon": ":",
    "percent": "%",
    "percent-no-hex": "%zz",
    "percent-cut": "%2",
    "encoded-nul": "%00",
    "encoded-no-utf8": "%ff",
    "space": " ",
    "apostrophe": "'",
    "quote": '"',
    "backslash": "\\",
    "umlaut": "ä",
    "wide": "\u2028鍵",
    "ampersand": "&",
    "equals": "=",
    "plus": "+",
    "bracket": "[",
    "bracket-close": "]",
    "semicolon": ";",
    "query": "/x?sslmode=",
    "port-and-slash": ":5432/",
    "two-at": "@a@b",
    "address": "@evil.example:6543/",
    "option": " host=",
    "tab": "\t",
}
ODD_PASSWORDS = {name: f"{HEAD}{odd}{TAIL}" for name, odd in _ODD.items()} | {
    "base64": f"/{HEAD}+{TAIL}==",
    "only-digits-and-slash": f"5432/{HEAD}{TAIL}",
    "host-and-port": f"{HEAD}.{TAIL}:5432",
    "very-long": f"{HEAD}{'x' * 20_000}/{TAIL}",
    "ipv6": f"[::1]:5432/{HEAD}{TAIL}",
    "begins-with-at": f"@{HEAD}{TAIL}",
}
# Those that a URL may not hold as they are; of the others both sides know what is meant.
MUST_BE_ESCAPED = "/#?@%[] \t\u2028"


def must_be_escaped(password: str) -> bool:
    return any(letter in password for letter in MUST_BE_ESCAPED)


def escaped(password: str) -> str:
    return quote(password, safe="")


def quoted(password: str) -> str:
    """As a value of libpq's key=value words."""
    return "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shows(text: str) -> bool:
    """Whether anything of a password is to be seen."""
    return HEAD.lower() in text.lower() or TAIL.lower() in text.lower() or "evil.example" in text
