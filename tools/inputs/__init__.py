"""Real input files for tests, demonstrations and benches, fetched from Debian's archive, and broken ones made
from them.

Invariant: nothing is downloaded into the repository; the same count gives the same files, in the same order.
"""
