"""One login at one site: its session restored on whatever pod, a full login only where the site asks for one,
never two at a time.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rowlock_jobs.task import NeedsReauth, Run, SiteError
from rowlock_jobs.work.monitoring.gate import ProcessStopped, SiteGate
from rowlock_jobs.work.monitoring.records import Login, Process
from rowlock_jobs.work.monitoring.settings import MonitoringSettings, settings_from
from rowlock_jobs.work.monitoring.store import ask, execute, login_of
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.capabilities.offered import Site
from rowlock_web.errors import SessionExpired
from rowlock_web.fetch.cookies import Cookies
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.registry import open_site
from rowlock_web.vault.vault import CredentialsUnreadable, Vault, open_vault

R = TypeVar("R")
USE_WAIT_SECONDS, TURN_WAIT_SECONDS, LOOK_SECONDS = 60.0, 30.0, 0.3
_DEFAULT_CONCURRENCY, _DEFAULT_RATE = 2, 2.0


class SiteSession:
    """What a task may do at a site in a login's name."""

    def __init__(
        self,
        run: Run,
        vault: Vault,
        settings: MonitoringSettings,
        process: Process,
        login: Login,
        *,
        by_hand: bool,
    ) -> None:
        self._run, self._vault, self._settings, self._process, self._login = (
            run,
            vault,
            settings,
            process,
            login,
        )
        self._gate = SiteGate(
            run,
            process_id=None if by_hand else process.id,
            site=process.site,
            login_id=login.id,
            requests_per_second=process.setting("requests_per_second", _DEFAULT_RATE),
        )
        self._id: str | None = None
        self._stored: Cookies | None = None
        self._fetcher: Fetcher | None = None

    def do(self, what: Callable[[Site], R]) -> R:
        """`what` with a site that is logged in; once more after a login where the session turns out to be
        over.

        Raises what the site raises, and NeedsReauth, SiteError (LoginBackingOff, LoginBusy),
        ProcessStopped.
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
        ask(self._run, "session_close", session_id=self._id)
        return False

    def close(self) -> None:
        """Keeps the cookies as they are now."""
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is None:
            return
        cookies = fetcher.cookies
        fetcher.close()
        if self._id is not None:
            changed = cookies != self._stored
            data = self._vault.encrypt(cookies.to_json()).decode() if changed else None
            ask(self._run, "session_used", session_id=self._id, data=data)

    def _site(self) -> Site:
        assert self._fetcher is not None
        return open_site(self._process.site_driver, self._fetcher)

    def _open(self, cookies: Cookies | None) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
        self._fetcher = Fetcher(
            self._process.base_url,
            self._gate,
            cookies,
            allow_private=self._settings.allow_private,
            contact=self._settings.contact,
        )

    def _restore(self) -> bool:
        """The stored session, where there is one that is not the one we have."""
        found = ask(self._run, "session", login_id=self._login.id)
        if not found or found[0][0] == self._id:
            return False
        try:
            cookies = Cookies.from_json(self._vault.decrypt(found[0][1]))
        except (ValueError, CredentialsUnreadable):
            return False  # nobody can read it: logged in afresh
        self._id, self._stored = found[0][0], cookies
        self._open(cookies)
        return True

    def _log_in(self) -> bool:
        """A full login, or the session of somebody who was faster; whether it was a full one."""
        deadline = time.monotonic() + TURN_WAIT_SECONDS
        while True:
            if self._restore():
                return False
            login = login_of(self._run, self._login.id)
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
            if ask(self._run, "login_turn", login_id=login.id, run_id=self._run.id):
                self._full_login(login)
                return True
            if time.monotonic() > deadline:
                raise SiteError(
                    "LoginBusy", f"login {login.name} is being logged in by somebody else", after_seconds=5
                )
            self._run.check()
            time.sleep(LOOK_SECONDS)

    def _full_login(self, login: Login) -> None:
        try:
            if self._restore():  # between our look and our turn
                ask(self._run, "login_turn_end", login_id=login.id)
                return
            self._open(None)
            credentials = Credentials(
                self._vault.decrypt(login.username_encrypted), self._vault.decrypt(login.password_encrypted)
            )
            logins = self._site().logins
            if logins is not None:
                logins.login(credentials)
        except NeedsReauth as refused:
            locked = "locked" in str(refused)
            ((state, seconds),) = ask(
                self._run, "login_failed", login_id=login.id, message=str(refused), locked=locked
            )
            if state == "needs_reauth":
                raise
            raise SiteError(
                "LoginRefused", f"login {login.name}: {refused}", after_seconds=float(seconds)
            ) from None
        except BaseException:
            ask(self._run, "login_turn_end", login_id=login.id)
            raise
        assert self._fetcher is not None
        self._stored = self._fetcher.cookies
        data = self._vault.encrypt(self._stored.to_json()).decode()
        with self._run.connection() as connection, connection.cursor() as cur:
            execute(cur, "login_succeeded", login_id=login.id)
            ((self._id,),) = execute(cur, "session_open", login_id=login.id, data=data)


@contextmanager
def site_session(run: Run, process: Process, login: Login, *, by_hand: bool = False) -> Iterator[SiteSession]:
    """A use of a login, one of the allowed number. Raises SiteError LoginBusy where none is free for a
    minute.
    """
    settings = settings_from(os.environ)
    vault = open_vault(settings.keys_file)  # before the use begins: without keys there is none to end
    _take(
        run,
        login,
        int(process.setting("login_concurrency", _DEFAULT_CONCURRENCY)),
        None if by_hand else process.id,
    )
    session = SiteSession(run, vault, settings, process, login, by_hand=by_hand)
    try:
        yield session
    finally:
        try:
            session.close()
        finally:
            ask(run, "leave_login", login_id=login.id, run_id=run.id)


def _take(run: Run, login: Login, allowed: int, process_id: str | None) -> None:
    deadline = time.monotonic() + USE_WAIT_SECONDS
    while not ask(run, "use_login", login_id=login.id, run_id=run.id, allowed=allowed)[0][0]:
        if time.monotonic() > deadline:
            raise SiteError("LoginBusy", f"{allowed} runs use login {login.name} already", after_seconds=10)
        run.check()
        if process_id is not None:
            ((_, refused),) = ask(run, "still", process_id=process_id, site="", login_id=login.id)
            if refused is not None:
                raise ProcessStopped(refused)
        time.sleep(LOOK_SECONDS)
