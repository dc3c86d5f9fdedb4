"""Turns watch events, notifications and the resync tick into keys.

Invariant: kopf appears only here and in wiring, and only as a watch: no finalizer, no annotation, not one
write to a user's object.
Invariant: no state here is the truth; whatever a watch misses, the next resync finds.
Invariant: kopf runs in a thread and an event loop of its own, because at its end it cancels every task of its
loop.
"""
