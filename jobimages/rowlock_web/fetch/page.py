"""An answer of a site, read whole, and where a redirect leads."""

from dataclasses import dataclass, field

import httpx2

from rowlock_jobs.task import SiteError
from rowlock_web.fetch.charset import decoded


@dataclass(frozen=True, slots=True)
class Page:
    """`location` is the address of a redirect, absolute and on the same host; None for a page."""

    url: str
    status: int
    body: bytes = field(repr=False)
    content_type: str | None = None
    location: str | None = None

    @property
    def path(self) -> str:
        return httpx2.URL(self.url).path

    @property
    def text(self) -> str:
        """The body as a browser would read it: decoded anew at each call."""
        return decoded(self.body, self.content_type)


def redirect_target(url: str, location: str) -> str:
    r"""Where a Location header leads. myMoment sends backslashes, which browsers take for slashes:
    `\/article\/7\/` is `/article/7/`.

    Raises SiteError BadRedirect for another host, and for a way back from https to http, which would show the
    cookies to everybody.
    """
    here = httpx2.URL(url)
    try:
        there = here.join(location.strip().replace("\\/", "/").replace("\\", "/"))
    except (httpx2.InvalidURL, ValueError) as error:
        raise SiteError("BadRedirect", f"{here.host} redirects to an address that cannot be read") from error
    if there.scheme not in ("http", "https"):
        raise SiteError("BadRedirect", f"{here.host} redirects to an address that is not http")
    if (there.host, there.port) != (here.host, here.port):
        moved = f"{here.netloc.decode()} redirects to {there.netloc.decode()}"
        raise SiteError("BadRedirect", f"{moved}: if the site has moved, change its base URL")
    if here.scheme == "https" and there.scheme == "http":
        raise SiteError("BadRedirect", f"{here.host} redirects from https to http")
    return str(there.copy_with(fragment=None))
