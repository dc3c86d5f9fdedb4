"""A site that has articles: which are wanted, and what is found."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, get_args

from rowlock_jobs.task import InputError

Sort = Literal["newest", "oldest", "title", "site"]
"""`site` leaves the site's own order."""
MAX_LIMIT = 200
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleFilter:
    """Which articles are wanted. Raises InputError BadFilter."""

    tab: str | None = None
    """A tab of the site; None = the site's widest."""
    category: int | None = None
    task: int | None = None
    search: str | None = None
    """Part of the title; upper and lower case are the same."""
    sort: Sort = "newest"
    limit: int = 20

    def __post_init__(self) -> None:
        if self.sort not in get_args(Sort):
            raise InputError(
                "BadFilter", f"sort is {self.sort!r}; it must be one of {', '.join(get_args(Sort))}"
            )
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InputError("BadFilter", f"limit is {self.limit}; it must be between 1 and {MAX_LIMIT}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleRef:
    """One line of a list of articles. `status` is the site's own word, where it has one."""

    id: str
    url: str
    title: str
    author: str = ""
    published_at: datetime | None = None
    status: str = ""
    published: bool = True
    """False: a draft, or one that waits for somebody's consent; nobody's to comment on."""
    classroom: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A whole article. `category` and `task` are the site's words, `category_id` its number where it is
    known.
    """

    id: str
    url: str
    title: str
    author: str
    text: str
    html: str = field(repr=False)
    category: str = ""
    category_id: int | None = None
    task: str = ""
    published_at: datetime | None = None


class Articles(Protocol):
    """Every method may raise SiteError, SessionExpired and InputError."""

    def discover(self, wanted: ArticleFilter) -> list[ArticleRef]:
        """Articles that this login sees. A tab or category that does not exist is InputError, never another
        tab's articles.
        """

    def article(self, ref_id: str) -> Article:
        """Raises InputError NotFound where it was deleted or is not shared with this login."""


def chosen(refs: list[ArticleRef], wanted: ArticleFilter) -> list[ArticleRef]:
    """Searches, sorts and cuts a list in the way that is the same for every site. Articles without a date
    come last.
    """
    needle = (wanted.search or "").strip().casefold()
    found = [ref for ref in refs if needle in ref.title.casefold()]
    if wanted.sort == "newest":
        found.sort(key=lambda ref: ref.published_at or _NEVER, reverse=True)
    elif wanted.sort == "oldest":
        found.sort(key=lambda ref: (ref.published_at is None, ref.published_at or _NEVER))
    elif wanted.sort == "title":
        found.sort(key=lambda ref: ref.title.casefold())
    return found[: wanted.limit]
