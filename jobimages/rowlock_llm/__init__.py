"""Asks a language model for one comment and lets nothing through that must not be posted.

Invariant: no text of an article reaches the system message, and none is ever taken for a template.
Invariant: the key appears in no message, log line, repr or traceback.
Invariant: every comment begins with the disclosure prefix, once, and holds no markup but our own paragraphs.
Invariant: tokens that were paid for are told, also where the answer could not be used.
"""
