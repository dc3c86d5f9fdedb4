"""A site that asks who somebody is."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Credentials:
    """One login's name and password; neither is ever shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)


class Logins(Protocol):
    """Both methods may raise SiteError."""

    def login(self, credentials: Credentials) -> None:
        """A fresh login; the session is then in the Fetcher's cookies. Raises NeedsReauth for a wrong
        password or a locked login.
        """

    def logged_in(self) -> bool:
        """Whether the session of the Fetcher's cookies still holds: one request."""
