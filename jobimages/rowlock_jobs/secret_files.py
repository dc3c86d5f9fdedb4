"""Values that Secrets hold. A mounted Secret changes under a living process, so its file is read at each use,
not once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rowlock_jobs.errors import SettingsError
from rowlock_ledger.addresses import AddressMalformed


@dataclass(frozen=True, slots=True)
class Secret:
    """One value: what its file holds now, or what its variable held at the start. Never shown."""

    variable: str  # what a person has to look at
    path: Path | None = None
    value: str = field(default="", repr=False)
    check: Callable[[str], object] = field(default=str, repr=False)

    def read(self) -> str:
        """The value as it is now. Raises SettingsError, which names the variable and holds no part of the
        value.
        """
        try:
            text = (
                self.value if self.path is None else self.path.read_text(encoding="utf-8", errors="replace")
            )
        except OSError as error:
            raise SettingsError(
                f"{self.variable} points to {self.path}, which cannot be read: {error.strerror}"
            ) from error
        text = text.strip()
        if not text:
            raise SettingsError(
                f"{self.variable} points to {self.path}, which is empty"
                if self.path
                else f"{self.variable} is empty"
            )
        try:
            self.check(text)
            return text
        except AddressMalformed as error:
            malformed = str(error)
        # Outside of the handler: an error that stays behind as the context of ours would carry what it
        # quotes.
        raise SettingsError(f"{self._place} cannot be read: {malformed}")

    @property
    def _place(self) -> str:
        return f"{self.variable} ({self.path})" if self.path else self.variable


Address = str | Secret


def current(address: Address) -> str:
    """The address as it is now. Raises SettingsError."""
    return address.read() if isinstance(address, Secret) else address


def variable_of(address: Address) -> str:
    """Where a person finds the address."""
    return address.variable if isinstance(address, Secret) else "the address"


def find_secret(environ: Mapping[str, str], name: str, check: Callable[[str], object] = str) -> Secret | None:
    """From `<name>_FILE`, else from `<name>`; None where neither is set. Raises SettingsError where it cannot
    be read now.
    """
    path, value = environ.get(f"{name}_FILE"), environ.get(name)
    if not path and not (value or "").strip():
        return None
    secret = Secret(f"{name}_FILE", Path(path), "", check) if path else Secret(name, None, value or "", check)
    secret.read()
    return secret
