"""Web access for every domain: HTTP, sites and what a login needs.

Invariant: a request goes only to an address that was checked, and asks the gate first.
Invariant: no password, cookie, token or key appears in an error, a log line or a repr.
Invariant: nothing here knows a domain, a database or the worker: what it stores, a domain stores for it.
"""
