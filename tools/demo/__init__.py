"""The main job on a real cluster, as a new user sees it: documents by warm workers, orders by Kubernetes Jobs of any image and by workers, a dead letter.

Invariant: every figure that is printed as verified was read from the database and compared with what was put in.
Invariant: all of it is removed by `down`.
"""
