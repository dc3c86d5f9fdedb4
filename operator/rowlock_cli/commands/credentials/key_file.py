"""The text of a key file: one Fernet key a line, the first encrypts, all open. Pure but for new_key.

Empty lines and lines with # are skipped, as the workers do. A key is named by its fingerprint, which the
workers compute alike.
"""

import base64
import binascii
import hashlib
import secrets

_KEY_BYTES = 32


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def keys_of(text: str) -> list[str]:
    """The keys, the encrypting one first. ValueError, which names the line and never shows it."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        if word and not word.startswith("#"):
            fingerprint(word, where=f"line {number}")
            found.append(word)
    if not found:
        raise ValueError("it holds no key")
    return found


def fingerprint(key: str, *, where: str = "it") -> str:
    """Twelve digits that tell nothing about the key. ValueError for what is no key."""
    try:
        raw = base64.b64decode(key.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"{where} is no key of {_KEY_BYTES} bytes in url-safe base64")
    return hashlib.sha256(b"rowlock credentials key id\0" + raw).hexdigest()[:12]


def added(text: str, key: str) -> str:
    """The key as the last one: it opens, and encrypts nothing yet."""
    return f"{text.rstrip()}\n{key}\n"


def moved_first(text: str, key: str) -> str:
    """The key before all others: from now on it encrypts."""
    others = [line for line in text.splitlines() if line.strip() not in (key, "")]
    return "\n".join([key, *others]) + "\n"


def digest(text: str) -> str:
    """What sha256sum prints about a file of this text."""
    return hashlib.sha256(text.encode()).hexdigest()
