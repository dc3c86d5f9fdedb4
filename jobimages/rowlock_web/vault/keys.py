"""Keys, and the file that holds them: one urlsafe Fernet key a line, the newest first; empty lines and lines
with # are skipped.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from rowlock_jobs.task import Retry

_KEY_BYTES = 32


class KeyFileInvalid(Retry):
    """The key file cannot be used. Nothing is encrypted or read until it can; the run is tried again."""


@dataclass(frozen=True)
class Key:
    """One key under its fingerprint, which tells nothing about it."""

    id: str
    fernet: Fernet

    def __repr__(self) -> str:
        return f"Key({self.id})"


def generate_key() -> str:
    """A new key, as a line for the key file."""
    return Fernet.generate_key().decode("ascii")


def read_keys(path: Path) -> list[Key]:
    """The keys of a file. KeyFileInvalid, which names the line and never shows it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyFileInvalid(
            f"the key file {path} cannot be read ({what}): mount the Secret with the encryption keys"
        ) from None
    keys = [
        _key(path, number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if _counts(line)
    ]
    if not keys:
        raise KeyFileInvalid(
            f"the key file {path} holds no key: put the key back that was used before, or a new one where"
            " there was none"
        )
    return keys


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key(path: Path, number: int, line: str) -> Key:
    try:
        raw = base64.b64decode(line.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise KeyFileInvalid(
            f"line {number} of the key file {path} is no key of {_KEY_BYTES} bytes in urlsafe base64: correct"
            " or remove it"
        )
    # A hash of 256 random bits gives nothing away; the words before keep it apart from any other use of the
    # key.
    fingerprint = hashlib.sha256(b"rowlock credentials key id\0" + raw).hexdigest()[:12]
    return Key(fingerprint, Fernet(line))
