"""What operator, command line, clients and workers share: the ledger's SQL and how it is reached.

Invariant: imports none of our other packages; they all may import this one.
Invariant: opens no connection: a cursor is handed in.
"""
