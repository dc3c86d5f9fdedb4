"""The use of a login: what may be done at a site in its name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rowlock_jobs.task import NeedsReauth, SiteError
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.capabilities.offered import Site
from rowlock_web.errors import SessionExpired
from rowlock_web.fetch.cookies import Cookies
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.logins.store import Login, LoginStore
from rowlock_web.pace.gate import Stopped
from rowlock_web.sites.registry import open_site
from rowlock_web.vault.vault import CredentialsUnreadable, Vault

R = TypeVar("R")
USE_WAIT_SECONDS, TURN_WAIT_SECONDS, POLL_SECONDS = 60.0, 30.0, 0.3


class SiteSession:
    """What a task may do at a site in a login's name."""

    def __init__(
        self,
        store: LoginStore,
        vault: Vault,
        site: str,
        open_fetcher: Callable[[Cookies | None], Fetcher],
        check: Callable[[], object],
    ) -> None:
        """`site` is a name of the registry. `open_fetcher` makes a way to it that begins with these cookies;
        `check` raises where the run was canceled.
        """
        self._store, self._vault, self._site_name = store, vault, site
        self._open_fetcher, self._check = open_fetcher, check
        self._id: str | None = None
        """Of the session whose cookies the fetcher began with; None = nothing was stored yet."""
        self._stored: Cookies | None = None
        """The cookies as they are stored, to see whether they have changed."""
        self._fetcher: Fetcher | None = None

    def do(self, what: Callable[[Site], R]) -> R:
        """`what` with a site that is logged in; once more after a login where the session turns out to be
        over.

        Raises what the site raises, and NeedsReauth, SiteError (LoginBackingOff, LoginBusy), Stopped.
        """
        if self._fetcher is None and not self._restore():
            self._log_in()
        try:
            return what(self._site())
        except SessionExpired:
            self._log_in()
        return what(self._site())

    def ensure(self) -> bool:
        """A session that may be used; whether a full login was needed."""
        if self._restore():
            return False
        return self._log_in()

    def valid(self) -> bool:
        """Asks the site whether the stored session holds; one that does not is closed."""
        if not self._restore():
            return False
        logins = self._site().logins
        if logins is None or logins.logged_in():
            return True
        assert self._id is not None
        self._store.session_closed(self._id)
        return False

    def close(self) -> None:
        """Keeps the cookies as they are now."""
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is None:
            return
        cookies = fetcher.cookies
        fetcher.close()
        if self._id is not None:
            self._store.session_used(self._id, self._encrypted(cookies) if cookies != self._stored else None)

    def _site(self) -> Site:
        assert self._fetcher is not None
        return open_site(self._site_name, self._fetcher)

    def _open(self, cookies: Cookies | None) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
        self._fetcher = self._open_fetcher(cookies)

    def _encrypted(self, cookies: Cookies) -> str:
        return self._vault.encrypt(cookies.to_json()).decode()

    def _restore(self) -> bool:
        """The stored session, where there is one that is not the one we have."""
        found = self._store.session()
        if found is None or found.id == self._id:
            return False
        try:
            cookies = Cookies.from_json(self._vault.decrypt(found.data))
        except (ValueError, CredentialsUnreadable):
            return False  # nobody can read it: logged in afresh
        self._id, self._stored = found.id, cookies
        self._open(cookies)
        return True

    def _log_in(self) -> bool:
        """A full login, or the session of somebody who was faster; whether it was a full one."""
        deadline = time.monotonic() + TURN_WAIT_SECONDS
        while True:
            if self._restore():
                return False
            login = self._store.login()
            if login.state == "needs_reauth":
                raise NeedsReauth(
                    f"the site refuses login {login.name}: correct name and password in its Secret"
                )
            if login.wait_seconds > 0:
                raise SiteError(
                    "LoginBackingOff",
                    f"login {login.name} was refused; the next try comes later",
                    after_seconds=login.wait_seconds,
                )
            if self._store.take_turn():
                self._full_login(login)
                return True
            if time.monotonic() > deadline:
                raise SiteError(
                    "LoginBusy", f"login {login.name} is being logged in by somebody else", after_seconds=5
                )
            self._check()
            time.sleep(POLL_SECONDS)

    def _full_login(self, login: Login) -> None:
        try:
            if self._restore():  # between our look and our turn
                self._store.end_turn()
                return
            self._open(None)
            credentials = Credentials(
                self._vault.decrypt(login.username_encrypted), self._vault.decrypt(login.password_encrypted)
            )
            logins = self._site().logins
            if logins is not None:
                logins.login(credentials)
        except NeedsReauth as refused:
            state, seconds = self._store.login_failed(str(refused), locked="locked" in str(refused))
            if state == "needs_reauth":
                raise
            raise SiteError("LoginRefused", f"login {login.name}: {refused}", after_seconds=seconds) from None
        except BaseException:
            self._store.end_turn()
            raise
        assert self._fetcher is not None
        self._stored = self._fetcher.cookies
        self._id = self._store.login_succeeded(self._encrypted(self._stored))


@contextmanager
def login_in_use(
    store: LoginStore, session: SiteSession, *, name: str, allowed: int, check: Callable[[], object]
) -> Iterator[SiteSession]:
    """A use of the login `name`, one of `allowed` at the same time. Raises SiteError LoginBusy where none is
    free for a minute, Stopped.
    """
    deadline = time.monotonic() + USE_WAIT_SECONDS
    while not store.use(allowed):
        if time.monotonic() > deadline:
            raise SiteError("LoginBusy", f"{allowed} runs use login {name} already", after_seconds=10)
        check()
        refused = store.refused()
        if refused is not None:
            raise Stopped(refused)
        time.sleep(POLL_SECONDS)
    try:
        yield session
    finally:
        try:
            session.close()
        finally:
            store.leave()
