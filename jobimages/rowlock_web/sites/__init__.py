"""The only room that knows a website, one file or package a site; docs/how-to/adding-a-site.md adds one.

Invariant: every single request goes through the site's Fetcher, which asks the gate first, and to the site's
own host.
Invariant: a page that is not understood is an error that names what is missing, never an empty list and never
"not posted".
Invariant: a vendor's words (labels, dates, states, languages) stay in its own file or package.
"""
