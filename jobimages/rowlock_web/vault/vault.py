"""Encrypts with the first key of a file and opens what any of its keys has encrypted."""

import base64
import binascii
import threading
from functools import cache
from pathlib import Path

from cryptography.fernet import InvalidToken, MultiFernet

from rowlock_jobs.task import Permanent
from rowlock_web.vault.keys import Key, KeyFileInvalid, read_keys

Token = bytes | str | memoryview
"""As PostgreSQL drivers hand out bytea and text."""

_TOKEN_START = b"gAAAAA"  # version 0x80 and the first bytes of a time before the year 2106
_WRAPPED_START = base64.urlsafe_b64encode(_TOKEN_START)


class CredentialsUnreadable(Permanent):
    """None of the keys opens it: a person has to bring the key back, or enter the credentials again."""


class Vault:
    """Reads its file again whenever that changes, so that a rotated Secret counts without a restart.

    A file that has become unusable is an error at once (KeyFileInvalid): going on with keys that somebody
    took away would be worse.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: list[Key] = []

    @classmethod
    def load(cls, path: Path | str) -> "Vault":
        """KeyFileInvalid where the file is missing or holds anything but keys."""
        vault = cls(Path(path))
        vault._current()
        return vault

    def __repr__(self) -> str:
        return f"Vault({str(self._path)!r}, keys={[key.id for key in self._keys]})"

    def key_ids(self) -> list[str]:
        """Fingerprints of the keys in use, the encrypting one first."""
        return [key.id for key in self._current()]

    def encrypt(self, text: str) -> bytes:
        return self._current()[0].fernet.encrypt(text.encode("utf-8"))

    def decrypt(self, token: Token) -> str:
        """Also reads the older form, base64 around a token. CredentialsUnreadable."""
        keys = self._current()
        try:
            return _fernet(keys).decrypt(_unwrapped(token)).decode("utf-8")
        except (InvalidToken, UnicodeDecodeError):
            raise _unreadable(self._path, keys) from None

    def rotate(self, token: Token) -> bytes:
        """The same text under the first key, in the plain form. The time of encryption stays.
        CredentialsUnreadable.
        """
        keys = self._current()
        try:
            return _fernet(keys).rotate(_unwrapped(token))
        except InvalidToken:
            raise _unreadable(self._path, keys) from None

    def key_id(self, token: Token) -> str:
        """Fingerprint of the key that opens it; where it is not `key_ids()[0]`, the token waits for rotation.
        CredentialsUnreadable.
        """
        keys = self._current()
        plain = _unwrapped(token)
        for key in keys:
            try:
                key.fernet.decrypt(plain)
            except InvalidToken:
                continue
            return key.id
        raise _unreadable(self._path, keys)

    def _current(self) -> list[Key]:
        with self._lock:
            try:
                # Kubernetes swaps a symbolic link: the file behind it is another one, though size and time
                # may be the same.
                found = self._path.stat()
            except OSError as error:
                raise KeyFileInvalid(
                    f"the key file {self._path} cannot be read ({error.strerror}): mount the Secret with the"
                    " encryption keys"
                ) from None
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._seen = None  # a file that turns out to be unusable is looked at again, every time
                self._keys = read_keys(self._path)
                self._seen = seen
            return self._keys


@cache
def open_vault(path: Path) -> Vault:
    """The vault of this process: each use looks whether the file has changed, and only then reads it.
    KeyFileInvalid.
    """
    return Vault.load(path)


def _fernet(keys: list[Key]) -> MultiFernet:
    return MultiFernet([key.fernet for key in keys])


def _unwrapped(token: Token) -> bytes:
    raw = token.encode("utf-8", "replace") if isinstance(token, str) else bytes(token)
    if raw.startswith(_WRAPPED_START):
        try:
            return base64.b64decode(raw, altchars=b"-_", validate=True)
        except binascii.Error:
            return raw
    return raw


def _unreadable(path: Path, keys: list[Key]) -> CredentialsUnreadable:
    ids = ", ".join(key.id for key in keys)
    return CredentialsUnreadable(
        f"none of the keys in {path} ({ids}) opens these credentials: add the key they were encrypted with,"
        " or enter them again"
    )
