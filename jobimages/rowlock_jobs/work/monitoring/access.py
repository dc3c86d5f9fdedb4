"""The web room's way to the tables: where turns, logins and sessions of a process are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rowlock_jobs.task import Run
from rowlock_jobs.work.monitoring.records import Process
from rowlock_jobs.work.monitoring.settings import settings_from
from rowlock_jobs.work.monitoring.store import ask, execute, login_of
from rowlock_web.fetch.cookies import Cookies
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.logins.session import SiteSession, login_in_use
from rowlock_web.logins.store import Login, StoredSession
from rowlock_web.pace.gate import SiteGate, Turn
from rowlock_web.vault.vault import open_vault

_DEFAULT_CONCURRENCY, _DEFAULT_RATE = 2, 2.0


class ProcessPace:
    """A `PaceStore`. `process_id` None: a comment approved by hand, which needs no running process."""

    def __init__(self, run: Run, *, process_id: str | None, site: str, login_id: str) -> None:
        self._run, self._keys = run, {"process_id": process_id, "site": site, "login_id": login_id}

    def reserve(self, *, interval_seconds: float, longest_seconds: float) -> Turn:
        found = ask(
            self._run,
            "gate",
            **self._keys,
            site_interval=interval_seconds,
            login_interval=0.0,
            longest=longest_seconds,
        )
        return _turn(found[0])

    def still(self) -> Turn:
        return _turn(ask(self._run, "still", **self._keys)[0])

    def hold(self, seconds: float) -> None:
        ask(self._run, "hold", site=self._keys["site"], login_id=self._keys["login_id"], seconds=seconds)


class ProcessLogins:
    """A `LoginStore`. `process_id` None: likewise."""

    def __init__(self, run: Run, *, process_id: str | None, login_id: str) -> None:
        self._run, self._process_id, self._login_id = run, process_id, login_id

    def use(self, allowed: int) -> bool:
        ((free,),) = ask(
            self._run, "use_login", login_id=self._login_id, run_id=self._run.id, allowed=allowed
        )
        return bool(free)

    def leave(self) -> None:
        ask(self._run, "leave_login", login_id=self._login_id, run_id=self._run.id)

    def refused(self) -> str | None:
        if self._process_id is None:
            return None
        found = ask(self._run, "still", process_id=self._process_id, site="", login_id=self._login_id)
        return _turn(found[0]).refused

    def login(self) -> Login:
        return login_of(self._run, self._login_id)

    def take_turn(self) -> bool:
        return bool(ask(self._run, "login_turn", login_id=self._login_id, run_id=self._run.id))

    def end_turn(self) -> None:
        ask(self._run, "login_turn_end", login_id=self._login_id)

    def login_failed(self, message: str, *, locked: bool) -> tuple[str, float]:
        ((state, seconds),) = ask(
            self._run, "login_failed", login_id=self._login_id, message=message, locked=locked
        )
        return str(state), float(seconds)

    def login_succeeded(self, data: str) -> str:
        with self._run.connection() as connection, connection.cursor() as cur:
            execute(cur, "login_succeeded", login_id=self._login_id)
            ((session_id,),) = execute(cur, "session_open", login_id=self._login_id, data=data)
        return str(session_id)

    def session(self) -> StoredSession | None:
        found = ask(self._run, "session", login_id=self._login_id)
        return StoredSession(*found[0]) if found else None

    def session_used(self, session_id: str, data: str | None) -> None:
        ask(self._run, "session_used", session_id=session_id, data=data)

    def session_closed(self, session_id: str) -> None:
        ask(self._run, "session_close", session_id=session_id)


@contextmanager
def site_session(run: Run, process: Process, login: Login, *, by_hand: bool = False) -> Iterator[SiteSession]:
    """A use of a login of a process. Raises SiteError LoginBusy where none is free for a minute, Stopped.

    `by_hand`: a person decided; whether the process runs does not matter.
    """
    settings = settings_from(os.environ)
    vault = open_vault(settings.keys_file)  # before the use begins: without keys there is none to end
    process_id = None if by_hand else process.id
    gate = SiteGate(
        ProcessPace(run, process_id=process_id, site=process.site, login_id=login.id),
        site=process.site,
        requests_per_second=process.setting("requests_per_second", _DEFAULT_RATE),
        check=run.check,
    )

    def open_fetcher(cookies: Cookies | None) -> Fetcher:
        return Fetcher(
            process.base_url,
            gate,
            cookies,
            allow_private=settings.allow_private,
            contact=settings.contact,
        )

    store = ProcessLogins(run, process_id=process_id, login_id=login.id)
    session = SiteSession(store, vault, process.site_driver, open_fetcher, run.check)
    allowed = int(process.setting("login_concurrency", _DEFAULT_CONCURRENCY))
    with login_in_use(store, session, name=login.name, allowed=allowed, check=run.check):
        yield session


def _turn(row: tuple[float, str | None]) -> Turn:
    wait_seconds, refused = row
    return Turn(float(wait_seconds), refused)
