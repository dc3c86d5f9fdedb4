"""Where a Location header leads."""

import pytest

from rowlock_jobs.task import SiteError
from rowlock_web.fetch.page import redirect_target


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
