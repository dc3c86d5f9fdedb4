"""What the tests of sites share: a gate, a visitor, and how an error is looked at."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from rowlock_jobs.task import TaskError
from rowlock_web.capabilities.comments import DisclosedText
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.mymoment.driver import MyMoment
from tests.standins.website import Site

PREFIX = "[KI]"
STUDENTS = {"ada": "Ada Frei", "ben": "Ben von Arx", "cleo": "Cleo Meier", "frau.huber": "Frau Huber"}


class Stopped(Exception):
    """What a gate raises once its process was stopped."""


class CountingGate:
    def __init__(self) -> None:
        self.passed = 0
        self.held: list[float] = []
        self.closes_after: int | None = None

    def acquire(self) -> None:
        if self.closes_after is not None and self.passed >= self.closes_after:
            raise Stopped
        self.passed += 1

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)

    def close_after(self, further: int) -> None:
        self.closes_after = self.passed + further


class Visitor:
    def __init__(self, fetcher: Fetcher, name: str) -> None:
        self.fetcher, self.name = fetcher, name
        self.driver = MyMoment(fetcher)
        self.driver.login(Credentials(name, password_of(name)))


def password_of(name: str) -> str:
    return f"pw-{name.removeprefix('frau.')}"


def disclosed(text: str) -> DisclosedText:
    return DisclosedText(f"<p>{PREFIX} {text}</p>", PREFIX)


def failure(call: Callable[[], Any]) -> TaskError:
    """The error of a call that must fail."""
    with pytest.raises(TaskError) as raised:
        call()
    assert str(raised.value)
    return raised.value


def told(error: BaseException) -> str:
    """All that a log or a status could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)


def posts(site: Site) -> list[str]:
    """The paths of all forms that the site was sent, logins aside."""
    return [
        entry["path"]
        for entry in site.requests
        if entry["method"] == "POST" and entry["path"] != "/accounts/login/"
    ]
