"""Rowlock on a real cluster: the demo first, then each fault once, against the release that the demo
installed.

Modules run in the order of their names, so `test_demo` is first, and in one process: each may end what all of
them share. Tests of other folders use the same cluster meanwhile. ROWLOCK_TEST_CLUSTER names the cluster
(default `test`); ROWLOCK_KEEP_CLUSTER=1 leaves it up, and a later run of single tests uses the release it
finds there.

Invariant: no test is skipped; where no cluster can be had, every test fails and says why.
Invariant: a test removes every object, table and run it made; nothing here reads or writes what is not the
tests' own, but for the pods that a fault ends.
"""
