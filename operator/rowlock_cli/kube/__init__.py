"""The cluster, with the user's own rights, and the operator's pod in it.

Invariant: what a library says is told as a sentence with the remedy; no key or Secret is ever in it.
"""
