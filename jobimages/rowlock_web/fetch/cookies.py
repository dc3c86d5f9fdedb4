"""A session's cookies as a value that can be stored: JSON, which the caller encrypts."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from http.cookiejar import Cookie, CookieJar


@dataclass(frozen=True, slots=True)
class StoredCookie:
    name: str
    value: str = field(repr=False)
    domain: str = ""
    path: str = "/"
    expires: int | None = None
    """Seconds since 1970; None = as long as the site likes."""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Cookies:
    """What a login has to bring along to be known again. `csrf` is the newest form token that was seen."""

    items: tuple[StoredCookie, ...] = ()
    csrf: str | None = field(default=None, repr=False)

    def to_json(self) -> str:
        return json.dumps({"cookies": [asdict(item) for item in self.items], "csrf": self.csrf})

    @classmethod
    def from_json(cls, text: str) -> "Cookies":
        """Raises ValueError, without the text, for anything that `to_json` did not write; then log in
        afresh.
        """
        try:
            stored = json.loads(text)
            items = tuple(StoredCookie(**item) for item in stored["cookies"])
            if not all(isinstance(item.name, str) and isinstance(item.value, str) for item in items):
                raise TypeError
            return cls(items, stored["csrf"])
        except (TypeError, KeyError, ValueError):
            # `from None`: the parser's message would quote what it could not read.
            raise ValueError("the stored cookies cannot be read; log in again") from None


def exported(jar: Iterable[Cookie], csrf: str | None) -> Cookies:
    items = (StoredCookie(c.name, c.value or "", c.domain, c.path, c.expires, c.secure) for c in jar)
    return Cookies(tuple(sorted(items, key=lambda item: (item.domain, item.path, item.name))), csrf)


def fill(jar: CookieJar, cookies: Cookies) -> None:
    for item in cookies.items:
        jar.set_cookie(
            Cookie(
                version=0,
                name=item.name,
                value=item.value,
                port=None,
                port_specified=False,
                domain=item.domain,
                domain_specified=item.domain.startswith("."),
                domain_initial_dot=item.domain.startswith("."),
                path=item.path,
                path_specified=True,
                secure=item.secure,
                expires=item.expires,
                discard=item.expires is None,
                comment=None,
                comment_url=None,
                rest={},
            )
        )
