"""What a user may ask of Rowlock and what Rowlock answers: the kinds, their specs, statuses, conditions and
reasons.

Invariant: `crds/` is generated from here, never written by hand.
Invariant: every list of the kinds is `kinds.KINDS`, is generated from it, or is compared with it by a test.
Invariant: imports nothing of ours but the error tree; no clock, no network.
Invariant: a bound, default or rule that a user can break is stated here, with a message that says what to
change.
"""
