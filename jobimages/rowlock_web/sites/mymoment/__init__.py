"""myMoment, a writing platform of Swiss schools: plain HTML pages, no API.

Invariant: pages are read by pure functions; only the driver makes requests.
"""

from rowlock_web.capabilities.offered import Site
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.mymoment.driver import MyMoment


def open_site(fetcher: Fetcher) -> Site:
    """Nothing is seen without a login."""
    driver = MyMoment(fetcher)
    return Site(logins=driver, articles=driver, comments=driver)
