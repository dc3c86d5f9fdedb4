"""What a user may ask of Rowlock and what Rowlock answers: the kinds, their specs, statuses, conditions and
reasons.

Invariant: `crds/` is generated from here, never written by hand.
Invariant: imports nothing of ours but the error tree; no clock, no network.
Invariant: a bound, default or rule that a user can break is stated here, with a message that says what to
change.
"""
