"""Images made on the machine itself, for clusters that reach no registry.

Invariant: a stand-in bears the label dev.rowlock.stand-in=true and is never pushed anywhere.
Invariant: archives lie in the cache under a hash of their recipe; the same recipe is built once.
"""
