"""Whose certificates count: one answer for sites and models alike."""

import os
from functools import cache
from ssl import SSLContext

import httpx2


def trusted() -> SSLContext:
    """The authorities of the system, or those of the file SSL_CERT_FILE or the folder SSL_CERT_DIR, which
    then count alone. docs/settings.md says how a company's own authority is added.

    Raises OSError, ssl.SSLError where that file cannot be used.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(_file: str | None, _folder: str | None) -> SSLContext:
    """Takes 30 ms to build, so once for each answer of the environment, which the library reads itself."""
    return httpx2.create_ssl_context()
