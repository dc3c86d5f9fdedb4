"""What a site can be asked for, one file a capability: its protocol and the values that it speaks in.

A further one (profile, posts, upload, followers) is defined with the first site that offers it: a file with a
Protocol and its values, and a field of `Site`.

Invariant: a capability knows no site, and a site offers a capability whole or not at all.
Invariant: a comment is sent by one POST, which is never repeated here; an answer that was lost is
PostUnknown, never a failure.
Invariant: what is posted begins with the disclosure that a machine wrote it; no site takes anything else.
"""
