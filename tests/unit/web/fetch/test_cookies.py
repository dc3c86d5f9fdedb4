"""Cookies as a value that is stored."""

import pytest

from rowlock_web.capabilities.logins import Credentials
from rowlock_web.fetch.cookies import Cookies, StoredCookie


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
