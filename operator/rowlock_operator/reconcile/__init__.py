"""For one key: gather, decide, apply, report.

Invariant: level-based; any call may be repeated, and needs nothing that an earlier one remembered.
Invariant: a key is looked at by one worker at a time; one status write at the end, and only where something
differs.
Invariant: one controller a kind; controllers meet in the cache and in the databases, and call none other.
Invariant: no SQL, no HTTP and no kopf here: effects go through the effect rooms.
"""
