"""Programs for people who work on Rowlock; nothing here is shipped.

Invariant: standard library only, so that every tool runs before anything is installed.
Invariant: the product packages never import from here.
"""
