"""Watches a site for new articles, has comments written for them, and posts those that are allowed.

Invariant: nothing here speaks to a website or a model except through rowlock_web and rowlock_llm.
Invariant: no comment is posted without the disclosure that a machine wrote it.
"""
