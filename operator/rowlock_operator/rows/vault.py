"""Encrypts what is copied from Secrets into the database; only the tasks decrypt. The keys are a mounted
file, one Fernet key a line, the first in use.
"""

from pathlib import Path

from rowlock_operator.api import reasons


class Vault:
    """Reads the file anew where it has changed, so that a rotation needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[float, str] | None = None

    def encrypt(self, text: str) -> str:
        """A Fernet token. Raises GiveUp (EncryptionKeyMissing) where there is no usable key: a new one is
        never made up.
        """
        from cryptography.fernet import Fernet  # 12 MB that an installation without monitoring never needs

        try:
            return Fernet(self.key).encrypt(text.encode()).decode()
        except ValueError:
            raise reasons.ENCRYPTION_KEY_MISSING.error(
                why="its first line is no Fernet key (32 bytes in url-safe base64)"
            ) from None

    @property
    def key(self) -> str:
        """The key in use."""
        try:
            stamp = self._path.stat().st_mtime
            if self._known is None or self._known[0] != stamp:
                words = (line.strip() for line in self._path.read_text().splitlines())
                lines = [word for word in words if word and not word.startswith("#")]
                if not lines:
                    raise reasons.ENCRYPTION_KEY_MISSING.error(why="it is empty")
                self._known = (stamp, lines[0])
        except OSError as error:
            raise reasons.ENCRYPTION_KEY_MISSING.error(why=error.strerror or type(error).__name__) from error
        return self._known[1]
