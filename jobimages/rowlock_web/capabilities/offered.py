"""One site through the session of one login, and what it offers."""

from dataclasses import dataclass
from typing import TypeVar

from rowlock_jobs.task import InputError
from rowlock_web.capabilities.articles import Articles
from rowlock_web.capabilities.comments import Comments
from rowlock_web.capabilities.logins import Logins

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """None = the site does not offer this."""

    logins: Logins | None = None
    """None = nobody has to log in."""
    articles: Articles | None = None
    comments: Comments | None = None


def offered(capability: C | None, what: str, remedy: str = "use the driver of another site") -> C:
    """The capability. Raises InputError NotOffered, "this site offers no <what>; <remedy>", where the site
    has none.
    """
    if capability is None:
        raise InputError("NotOffered", f"this site offers no {what}; {remedy}")
    return capability
