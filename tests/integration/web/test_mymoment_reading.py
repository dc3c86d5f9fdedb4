"""Logging in, finding and reading articles on the stand-in, and what happens when the site misbehaves."""

import logging
from collections.abc import Callable

import pytest

from rowlock_jobs.errors import NeedsReauth
from rowlock_jobs.task import InputError, SiteError
from rowlock_web.capabilities.articles import ArticleFilter
from rowlock_web.capabilities.logins import Credentials
from rowlock_web.errors import SessionExpired
from rowlock_web.fetch.cookies import Cookies
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.mymoment.driver import MyMoment
from tests.integration.web.stage import (
    STUDENTS,
    CountingGate,
    Visitor,
    failure,
    password_of,
    told,
)
from tests.standins.website import Site

pytestmark = pytest.mark.integration

Visit = Callable[..., Visitor]
Fetch = Callable[..., Fetcher]


@pytest.mark.parametrize("redirects", ["broken", "straight"])
@pytest.mark.parametrize("name", STUDENTS)
def test_a_login_takes_three_requests_of_which_one_is_a_form(
    name: str, redirects: str, site: Site, gate: CountingGate, visit: Visit
) -> None:
    site.fault(straight_redirects=redirects == "straight")
    visitor = visit(name)
    assert [(entry["method"], entry["login"]) for entry in site.requests] == [
        ("GET", None),
        ("POST", None),
        ("GET", name),
    ]
    assert gate.passed == 3
    assert visitor.driver.logged_in()


def test_a_session_is_restored_from_its_cookies_without_a_login(
    site: Site, visit: Visit, fetch: Fetch
) -> None:
    stored = visit("ben").fetcher.cookies.to_json()
    before = len(site.requests)
    restored = MyMoment(fetch(cookies=Cookies.from_json(stored)))
    assert restored.logged_in()
    assert restored.discover(ArticleFilter())
    assert [entry["login"] for entry in site.requests[before:]] == ["ben", "ben"]


def test_cookies_of_a_session_that_has_ended_are_no_login(site: Site, visit: Visit, fetch: Fetch) -> None:
    stored = visit().fetcher.cookies
    site.fault(expire_sessions=True)
    restored = MyMoment(fetch(cookies=stored))
    assert not restored.logged_in()


@pytest.mark.parametrize(
    "call",
    [
        lambda driver: driver.discover(ArticleFilter()),
        lambda driver: driver.article("1"),
        lambda driver: driver.find_comment("1", "[KI] x", "Ada Frei"),
    ],
    ids=["discover", "article", "find_comment"],
)
def test_a_session_that_ends_is_told_by_each_call_and_a_new_login_mends_it(
    call: Callable, site: Site, visit: Visit
) -> None:
    visitor = visit()
    call(visitor.driver)
    site.fault(expire_sessions=["ada"])
    assert type(failure(lambda: call(visitor.driver))) is SessionExpired
    visitor.driver.login(Credentials("ada", "pw-ada"))
    call(visitor.driver)


def test_a_wrong_password_is_tried_once_and_needs_a_person(site: Site, fetch: Fetch) -> None:
    driver = MyMoment(fetch())
    error = failure(lambda: driver.login(Credentials("ada", "wr0ng-pw")))
    assert type(error) is NeedsReauth
    assert "correct the Secret" in str(error)
    assert [entry["method"] for entry in site.requests].count("POST") == 1
    assert site.wrong["ada"] == 1


def test_after_a_failed_login_nobody_is_logged_in_as_the_one_before(site: Site, visit: Visit) -> None:
    driver = visit("ada").driver
    failure(lambda: driver.login(Credentials("ben", "wr0ng-pw")))
    assert not driver.logged_in()
    driver.login(Credentials("ben", "pw-ben"))
    driver.discover(ArticleFilter())
    assert site.requests[-1]["login"] == "ben"


def test_a_password_that_was_changed_at_the_site_needs_a_person(site: Site, fetch: Fetch) -> None:
    site.fault(wrong_password=["ada"])
    assert type(failure(lambda: MyMoment(fetch()).login(Credentials("ada", "pw-ada")))) is NeedsReauth


def test_a_login_that_the_site_has_locked_is_told_apart(site: Site, fetch: Fetch) -> None:
    driver = MyMoment(fetch())
    for _ in range(4):
        assert "locked" not in str(failure(lambda: driver.login(Credentials("ada", "wr0ng-pw"))))
    assert "locked" in str(failure(lambda: driver.login(Credentials("ada", "wr0ng-pw"))))
    assert "locked" in str(failure(lambda: driver.login(Credentials("ada", "pw-ada"))))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"errors": {"path": "/accounts/", "method": "POST"}}, "SiteAway"),
        ({"rate_limit": {"path": "/accounts/", "retry_after": 5}}, "RateLimited"),
        ({"canned": {"/accounts/login/": {"status": 403}}}, "SessionExpired"),
        ({"canned": {"/accounts/login/": {"body": "<h1>Wartung</h1>"}}}, "LayoutChanged"),
        ({"canned": {"/": {"body": "<h1>Willkommen</h1>"}}}, "LayoutChanged"),
    ],
)
def test_a_login_that_fails_for_the_sites_reasons_is_no_wrong_password(
    fault: dict, reason: str, site: Site, fetch: Fetch
) -> None:
    site.fault(**fault)
    error = failure(lambda: MyMoment(fetch()).login(Credentials("ada", "pw-ada")))
    assert not isinstance(error, NeedsReauth)
    assert isinstance(error, SiteError)
    assert error.reason == reason
    assert site.wrong["ada"] == 0


@pytest.mark.parametrize(
    ("name", "tab", "classes"),
    [
        ("ada", None, {12}),
        ("ben", None, {12, 13}),
        ("ben", "13", {13}),
        ("frau.huber", None, {12, 13}),
        ("frau.huber", "12", {12}),
    ],
)
def test_a_login_finds_the_articles_of_its_tab_newest_first(
    name: str, tab: str | None, classes: set[int], site: Site, visit: Visit
) -> None:
    refs = visit(name).driver.discover(ArticleFilter(tab=tab, limit=200))
    assert {site.articles[int(ref.id)].classroom for ref in refs} == classes
    assert len(refs) == 20 * len(classes)
    assert [ref.published_at for ref in refs] == sorted((ref.published_at for ref in refs), reverse=True)


def test_the_site_filters_by_category_and_task(site: Site, visit: Visit) -> None:
    refs = visit().driver.discover(ArticleFilter(category=9, limit=200))
    assert {ref.id for ref in refs} == {
        str(a.id) for a in site.articles.values() if a.category == 9 and a.classroom == 12
    }
    assert refs
    refs = visit().driver.discover(ArticleFilter(task=10, limit=200))
    assert {site.articles[int(ref.id)].task for ref in refs} == {10}


@pytest.mark.parametrize("name", ["ada", "frau.huber"])
def test_a_tab_of_another_class_is_an_error_and_not_all_articles(name: str, visit: Visit) -> None:
    error = failure(lambda: visit(name).driver.discover(ArticleFilter(tab="99")))
    assert type(error) is InputError
    assert error.reason == "UnknownTab"


def test_twenty_articles_are_found_where_nothing_else_is_said_and_a_new_one_is_first(
    site: Site, visit: Visit
) -> None:
    visitor = visit("ben")
    assert len(visitor.driver.discover(ArticleFilter())) == 20
    (new,) = site.add_articles({"title": "Ganz <neu>", "classroom": 13, "at": "2027-01-01T10:00:00+00:00"})
    first = visitor.driver.discover(ArticleFilter())[0]
    assert (first.id, first.title) == (str(new), "Ganz <neu>")


def test_an_article_is_read_as_it_was_written(site: Site, visit: Visit) -> None:
    (number,) = site.add_articles(
        {
            "title": "Mein <Berg>",
            "author": "Lia Rossi",
            "paragraphs": ["Ein & zwei.", "Drei."],
            "category": 5,
            "task": 13,
        }
    )
    article = visit().driver.article(str(number))
    assert (article.title, article.author, article.text) == (
        "Mein <Berg>",
        "Lia Rossi",
        "Ein & zwei.\n\nDrei.",
    )
    assert (article.category_id, article.category, article.task) == (5, "Erklären", "Ein Abenteuer")
    assert article.published_at is not None


@pytest.mark.parametrize(
    ("article_id", "reason"),
    [("9999", "NotFound"), ("../accounts", "BadArticleId"), ("١٢", "BadArticleId"), ("", "BadArticleId")],
)
def test_an_article_that_is_not_there_is_the_rows_fault(article_id: str, reason: str, visit: Visit) -> None:
    error = failure(lambda: visit().driver.article(article_id))
    assert type(error) is InputError
    assert error.reason == reason


def test_an_article_of_another_class_is_not_there_for_this_login(site: Site, visit: Visit) -> None:
    other = next(article.id for article in site.articles.values() if article.classroom == 13)
    assert failure(lambda: visit("ada").driver.article(str(other))).reason == "NotFound"


@pytest.mark.parametrize("name", ["ada", "frau.huber"])
@pytest.mark.parametrize(
    "call",
    [lambda driver: driver.discover(ArticleFilter()), lambda driver: driver.article("1")],
    ids=["discover", "article"],
)
def test_a_changed_layout_is_told_with_what_is_missing(
    call: Callable, name: str, site: Site, visit: Visit
) -> None:
    driver = visit(name).driver
    site.fault(changed_layout=True)
    error = failure(lambda: call(driver))
    assert (type(error), error.reason) == (SiteError, "LayoutChanged")
    assert " has no " in str(error)


@pytest.mark.parametrize(
    "fault", [{"errors": {"times": 2}}, {"rate_limit": {"times": 2, "retry_after": 3}}, {"slow_seconds": 2}]
)
def test_no_request_is_repeated_by_itself(fault: dict, site: Site, visit: Visit) -> None:
    driver = visit(timeout_seconds=0.5).driver
    before = len(site.requests)
    site.fault(**fault)
    assert failure(lambda: driver.discover(ArticleFilter())).failure_class == "site"
    assert len(site.requests) - before == 1


def test_no_secret_is_told_by_any_error_log_or_repr(
    site: Site, fetch: Fetch, visit: Visit, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    name = "".join(("frau", ".", "huber"))  # a traceback quotes these lines
    shown = []
    with caplog.at_level(logging.DEBUG):
        visitor = visit(name, timeout_seconds=1)
        faults: list[dict] = [
            {"wrong_password": [name]},
            {"locked": [name]},
            {"errors": {"times": 1}},
            {"errors": {"times": 1, "method": "POST"}},
            {"rate_limit": {"times": 1}},
            {"canned": {"/accounts/login/": {"body": "<h1>Wartung</h1>"}}},
            {"slow_seconds": 2},
        ]
        for fault in faults:
            site.fault(**fault)
            error = failure(lambda: visitor.driver.login(Credentials(name, password_of(name))))
            shown.append(told(error))
            site.fault(**dict.fromkeys(fault))
        visitor = visit(name)
        cookies = visitor.fetcher.cookies
        site.fault(expire_sessions=True)
        shown += [
            told(failure(lambda: visitor.driver.article("1"))),
            repr(visitor.driver),
            repr(visitor.fetcher),
            repr(cookies),
            caplog.text,
        ]
    shown += capfd.readouterr()
    secrets = [name, password_of(name), cookies.csrf, *(item.value for item in cookies.items)]
    assert len(secrets) == 5
    everything = "\n".join(shown)
    assert "NeedsReauth" in everything
    assert [secret for secret in secrets if secret and secret in everything] == []
