"""What can go wrong with a site, named by what the caller does next.

SiteError
|-- SessionExpired  log in again and repeat; a comment was surely not posted
|-- PostUnknown     a POST was sent and its answer was lost: look with find_comment, never repeat it blindly
|-- RefusedBySite   the site read the comment and said no; repeating it changes nothing
`-- NeedsReauth     (rowlock_jobs.errors) wrong password or locked login: a person has to act
InputError NotFound there is no such page (any more)
AddressRefused      (work.monitoring.addresses) the site's name leads into a network that is not allowed

Of `comment`, any other SiteError or InputError, and whatever the gate raises, means that nothing was posted.
What interrupts it from outside (the soft limit, a killed process) means nothing: treat it as PostUnknown.
"""

from rowlock_jobs.task import InputError, SiteError


class SessionExpired(SiteError):
    """The site asks for a login. Raised for 401, 403 and a login page in place of the wanted one."""

    def __init__(self, message: str) -> None:
        super().__init__("SessionExpired", message)


class PostUnknown(SiteError):
    """Nobody knows whether the site took the POST."""

    def __init__(self, message: str) -> None:
        super().__init__("PostUnknown", message)


class RefusedBySite(SiteError):
    """The site does not want this comment; the message holds its own words."""

    permanent = True

    def __init__(self, message: str) -> None:
        super().__init__("RefusedBySite", message)


def layout_changed(page: str, missing: str) -> SiteError:
    """The page is not the one that this driver knows."""
    return SiteError(
        "LayoutChanged",
        f"the page {page} has no {missing}: the site's layout has changed; the driver must be adapted",
    )


def not_found(url: str) -> InputError:
    return InputError(
        "NotFound",
        f"there is no page {url} for this login (any more); it was probably deleted or is not shared with it",
    )
