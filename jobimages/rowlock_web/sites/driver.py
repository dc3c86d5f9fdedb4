"""What every site can be asked, and the register of sites: a further site is one file with one
`@site_driver(name)`.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from rowlock_jobs.task import InputError
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.disclosure import DisclosedText
from rowlock_web.sites.values import (
    Article,
    ArticleFilter,
    ArticleRef,
    CommentReceipt,
    Credentials,
)


class SiteDriver(Protocol):
    """One site, through the session of one login. Every method may raise SiteError, SessionExpired and
    InputError.
    """

    @property
    def can_comment(self) -> bool: ...

    def login(self, credentials: Credentials) -> None:
        """A fresh login; the session is then in the Fetcher's cookies. Raises NeedsReauth for a wrong
        password or a locked login.
        """

    def logged_in(self) -> bool:
        """Whether the session of the Fetcher's cookies still holds: one request."""

    def discover(self, wanted: ArticleFilter) -> list[ArticleRef]:
        """Articles that this login sees. A tab or category that does not exist is InputError, never another
        tab's articles.
        """

    def article(self, ref_id: str) -> Article:
        """Raises InputError NotFound where it was deleted or is not shared with this login."""

    def comment(self, article_id: str, text: DisclosedText, *, hidden: bool) -> CommentReceipt:
        """Posts by exactly one POST. Raises PostUnknown where its answer was lost, RefusedBySite where the
        site said no.
        """

    def find_comment(self, article_id: str, text: str, author: str = "") -> str | None:
        """The id of this author's (by default the login's own) comment with this text, by looking at the
        article; None = it is surely not there.
        """


_F = TypeVar("_F", bound=Callable[[Fetcher], SiteDriver])
_drivers: dict[str, Callable[[Fetcher], SiteDriver]] = {}


def site_driver(name: str) -> Callable[[_F], _F]:
    """Registers a driver under the name that a MonitoringProcess uses in `site.driver`. Raises ValueError
    where it is taken.
    """

    def register(driver: _F) -> _F:
        if name in _drivers:
            raise ValueError(f"a site driver {name!r} is registered already; choose another name")
        _drivers[name] = driver
        return driver

    return register


def open_site(driver_name: str, fetcher: Fetcher) -> SiteDriver:
    """Raises InputError UnknownDriver, which lists the drivers that exist."""
    try:
        return _drivers[driver_name](fetcher)
    except KeyError:
        known = ", ".join(sorted(_drivers))
        raise InputError(
            "UnknownDriver", f"there is no site driver {driver_name!r}; there are {known}"
        ) from None
