"""Compares what is wanted with what is, and answers: how many, which next, how it ended, and when to look
again.

Invariant: pure; the clock is a value, and every rule is a function with a table of cases in the tests.
Invariant: what is unknown changes nothing.
"""
