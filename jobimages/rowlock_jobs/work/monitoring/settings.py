"""What an installation says to the tasks of monitoring, by the environment of its worker pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """docs/settings.md lists the variables."""

    keys_file: Path
    """Fernet keys, one a line; the first encrypts."""
    allow_private: bool
    """Whether sites and models may be at private addresses."""
    contact: str
    """Told to sites in the User-Agent."""


def settings_from(environment: Mapping[str, str]) -> MonitoringSettings:
    """An absent variable means the default."""
    return MonitoringSettings(
        keys_file=Path(environment.get("ROWLOCK_ENCRYPTION_KEYS_FILE") or "/var/run/encryption/keys"),
        allow_private=environment.get("ROWLOCK_ALLOW_PRIVATE_ADDRESSES", "").strip().lower() == "true",
        contact=environment.get("ROWLOCK_CONTACT", ""),
    )
