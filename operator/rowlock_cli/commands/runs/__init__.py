"""Commands about runs: see them, make them, end them, run them again.

Invariant: what was left undone is told with its reason, and ends with exit code 1.
"""
