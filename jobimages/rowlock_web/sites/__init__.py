"""The only room that touches a website, one file or package a site: finds articles, reads them, posts
comments.

Invariant: every single request asks the gate first, goes to the site's own host, and connects to an address
that was checked.
Invariant: a comment is sent by one POST, which is never repeated here; an answer that was lost is
PostUnknown, never a failure.
Invariant: a page that is not understood is an error that names what is missing, never an empty list and never
"not posted".
Invariant: no password, cookie or token appears in an error, a log line or a repr.
"""

from rowlock_web.sites import generic_rss as generic_rss
from rowlock_web.sites import mymoment as mymoment
