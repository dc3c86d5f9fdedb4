"""The pace of requests to a site, which all pods share.

Invariant: each request has its turn, and whoever it is sent for still wants it at that moment.
Invariant: nothing here counts: where the turns are kept is the business of whoever hands in the `PaceStore`.
"""
