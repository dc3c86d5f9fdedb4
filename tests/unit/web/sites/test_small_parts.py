"""Dates, redirects, cookies and the register."""

from datetime import UTC, datetime

import pytest

from rowlock_jobs.task import InputError, SiteError
from rowlock_web.fetch.cookies import Cookies, StoredCookie
from rowlock_web.fetch.page import Page, redirect_target
from rowlock_web.sites.driver import open_site, site_driver
from rowlock_web.sites.mymoment.german_dates import german_date
from rowlock_web.sites.values import Credentials


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("28.01.2026", (2026, 1, 27, 23, 0)),
        ("28.01.2026 um 09:24 Uhr", (2026, 1, 28, 8, 24)),
        ("Publiziert am 28.07.2026, 9:24", (2026, 7, 28, 7, 24)),
        ("1. 2. 26", (2026, 1, 31, 23, 0)),
        ("28. Januar 2026, 9.24 Uhr", (2026, 1, 28, 8, 24)),
        ("3. März 2026", (2026, 3, 2, 23, 0)),
        ("3. Maerz 2026", (2026, 3, 2, 23, 0)),
        ("12. Dez. 2025 18:05:30", (2025, 12, 12, 17, 5, 30)),
    ],
)
def test_german_dates_are_read_in_swiss_time(text: str, moment: tuple[int, ...]) -> None:
    assert german_date(text) == datetime(*moment, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gestern",
        "vor 3 Stunden",
        "31.02.2026",
        "28. Brumaire 2026",
        "28.13.2026",
        "28.01.2026 um 25:00 Uhr",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert german_date(text) is None


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/article/7/", "https://m.example/article/7/"),
        ("\\/article\\/7\\/", "https://m.example/article/7/"),
        ("\\article\\7\\", "https://m.example/article/7/"),
        ("https:\\\\m.example\\articles\\?tab=alle", "https://m.example/articles/?tab=alle"),
        ("https:\\/\\/m.example\\/", "https://m.example/"),
        ("?tab=home#pills", "https://m.example/articles/?tab=home"),
        (" /a/ ", "https://m.example/a/"),
        ("https://m.example:443/a/", "https://m.example/a/"),
    ],
)
def test_a_redirect_is_read_with_its_backslashes(location: str, target: str) -> None:
    assert redirect_target("https://m.example/articles/", location) == target


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "https://m.example:8443/",
        "https://m.example.evil.example/",
        "https://m.example@evil.example/",
        "http://m.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://[broken",
    ],
)
def test_a_redirect_to_another_place_is_refused(location: str) -> None:
    with pytest.raises(SiteError) as raised:
        redirect_target("https://m.example/articles/", location)
    assert raised.value.reason == "BadRedirect"


def test_a_redirect_from_http_to_https_is_followed() -> None:
    assert redirect_target("http://m.example/", "https://m.example/") == "https://m.example/"


def test_an_unknown_charset_is_read_as_utf_8() -> None:
    content_type = "text/html; charset=klingon"
    assert Page("https://m.example/", 200, "schön".encode(), content_type).text == "schön"


def test_cookies_survive_their_way_through_json() -> None:
    cookies = Cookies(
        (StoredCookie("sessionid", "s3cret", "m.example", "/", 1_800_000_000, secure=True),), csrf="t0ken"
    )
    assert Cookies.from_json(cookies.to_json()) == cookies


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"cookies": [1], "csrf": null}',
        '{"cookies": [{"name": "s3cret"}], "csrf": null}',
        "s3cret",
    ],
)
def test_stored_cookies_that_cannot_be_read_are_an_error_that_does_not_quote_them(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        Cookies.from_json(text)
    assert "log in again" in str(raised.value)
    assert "s3cret" not in repr(raised.value) + repr(raised.value.__cause__)


def test_credentials_and_cookies_show_no_secret() -> None:
    shown = repr(Credentials("ada", "pw-ada")) + repr(
        Cookies((StoredCookie("sessionid", "s3cret"),), csrf="t0ken")
    )
    assert not [secret for secret in ("'ada'", "pw-ada", "s3cret", "t0ken") if secret in shown]


def test_an_unknown_driver_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InputError) as raised:
        open_site("facebook", None)  # type: ignore[arg-type]
    assert raised.value.reason == "UnknownDriver"
    assert "generic-rss, mymoment" in str(raised.value)


def test_a_name_belongs_to_one_driver() -> None:
    with pytest.raises(ValueError, match="'mymoment' is registered already"):
        site_driver("mymoment")(lambda fetcher: None)  # type: ignore[arg-type,return-value]
