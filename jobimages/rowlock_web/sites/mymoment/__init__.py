"""myMoment, a writing platform of Swiss schools: plain HTML pages, no API.

Invariant: pages are read by pure functions; only the driver makes requests.
"""

from rowlock_web.sites.mymoment.driver import MyMoment as MyMoment
