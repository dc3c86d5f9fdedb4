"""The operator: turns pending rows and custom resources into running work.

Invariant: PostgreSQL is the only truth, Redis may lose everything, the Kubernetes API holds what users ask
for and what they see.
"""
