"""Watches a site for new articles, has comments written for them, and posts those that are allowed.

Invariant: nothing here speaks to a website except through sites/, and no request leaves without the gate's
consent.
Invariant: no comment is posted without the disclosure that a machine wrote it.
"""
