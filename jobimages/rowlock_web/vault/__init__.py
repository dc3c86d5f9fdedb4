"""Encrypts logins, cookies and keys before they are stored, and opens them for one attempt.

Invariant: no key is ever made up: without a usable key file nothing is encrypted and nothing is read.
Invariant: neither a key nor a clear text appears in a message or a repr; a key is named by its fingerprint.
"""
