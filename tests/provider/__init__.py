"""The cluster provider: its pure rooms anywhere, a real host cluster where the tests run as root.

Invariant: the host cluster of these tests has a name of its own and is down when they end.
"""
