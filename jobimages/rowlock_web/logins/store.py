"""What is kept of a login, for all pods: made by a domain, in whatever tables it has."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An account; its name and password are encrypted."""

    id: str
    name: str
    """Names it to people: never the user name at the site."""
    username_encrypted: str = field(repr=False)
    password_encrypted: str = field(repr=False)
    state: str
    """`ok`, `backing_off` (refused; the next try comes later), `needs_reauth` (a person has to act)."""
    wait_seconds: float
    """Seconds until another full login may be tried; 0 = now."""


class StoredSession(NamedTuple):
    """The newest session of a login that has not expired."""

    id: str
    data: str
    """Its cookies, encrypted."""


class LoginStore(Protocol):
    """Of one login and one run. Each call is complete when it returns."""

    def use(self, allowed: int) -> bool:
        """One more use, or False where `allowed` runs use the login already."""

    def leave(self) -> None:
        """The use is over."""

    def refused(self) -> str | None:
        """Why nothing is to be sent any more for whoever asked, in CamelCase; None = go on."""

    def login(self) -> Login:
        """As it is now."""

    def take_turn(self) -> bool:
        """The right to log in, which one run has at a time."""

    def end_turn(self) -> None:
        """The login did not come to an answer."""

    def login_failed(self, message: str, *, locked: bool) -> tuple[str, float]:
        """The site refused it: the login's new state, and the seconds until the next try."""

    def login_succeeded(self, data: str) -> str:
        """Replaces all earlier sessions; the new one's id."""

    def session(self) -> StoredSession | None: ...

    def session_used(self, session_id: str, data: str | None) -> None:
        """`data`: the cookies after the use, encrypted; None = unchanged."""

    def session_closed(self, session_id: str) -> None:
        """The site does not know it any more."""
