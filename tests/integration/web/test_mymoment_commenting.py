"""A comment is posted by one POST, and what is not known is not guessed. Judged by the site's own log."""

from collections.abc import Callable

import pytest

from rowlock_jobs.task import SiteError
from rowlock_web.capabilities.comments import DisclosedText
from rowlock_web.errors import PostUnknown, RefusedBySite, SessionExpired
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.fetch.page import Page
from rowlock_web.sites.mymoment import driver as mymoment
from tests.integration.web.stage import (
    PREFIX,
    STUDENTS,
    CountingGate,
    Stopped,
    Visitor,
    disclosed,
    failure,
    posts,
)
from tests.services.process import wait_until
from tests.standins.website import Site

pytestmark = pytest.mark.integration

Visit = Callable[..., Visitor]
FORM = "/article/1/comment/"


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "for everybody"])
def test_a_comment_appears_once_under_the_right_login(
    hidden: bool, site: Site, gate: CountingGate, visit: Visit
) -> None:
    visitor = visit("ben")
    before = gate.passed
    receipt = visitor.driver.comment("1", disclosed("Schön & gut, <strong>Lia</strong>!"), hidden=hidden)
    (comment,) = site.comment_log
    assert (receipt.article_id, receipt.comment_id) == ("1", str(comment["id"]))
    assert (comment["login"], comment["article"], comment["hidden"]) == ("ben", 1, hidden)
    assert comment["text"] == f"<p>{PREFIX} Schön & gut, <strong>Lia</strong>!</p>"
    assert posts(site) == [FORM]
    assert gate.passed - before == 3


@pytest.mark.parametrize("plain", ["Schön", "<p>Schön</p>"])
def test_a_text_without_disclosure_does_not_reach_the_site(plain: str, site: Site, visit: Visit) -> None:
    driver = visit().driver
    with pytest.raises(AttributeError):  # a driver can only post what is in a DisclosedText
        driver.comment("1", plain, hidden=False)  # type: ignore[arg-type]
    assert (
        failure(lambda: driver.comment("1", DisclosedText(plain, PREFIX), hidden=False)).reason
        == "NotDisclosed"
    )
    assert posts(site) == []


def test_the_same_words_of_three_logins_are_three_comments_with_their_own_ids(
    site: Site, visit: Visit
) -> None:
    names = ("ada", "ben", "frau.huber")
    ids = {
        name: visit(name).driver.comment("1", disclosed("Schön!"), hidden=False).comment_id for name in names
    }
    assert {comment["login"]: str(comment["id"]) for comment in site.comment_log} == ids
    look = visit("ada").driver
    assert {name: look.find_comment("1", f"{PREFIX} Schön!", STUDENTS[name]) for name in names} == ids
    assert look.find_comment("1", f"{PREFIX} Schön!", "Cleo Meier") is None


def test_the_same_words_of_two_logins_at_the_same_moment_keep_their_own_ids(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another login's comment comes after ours, before we look for it."""
    ben, ada = visit("ben"), visit("ada")
    send = ben.fetcher.post

    def sent_just_before_ada(*given: object, **more: object) -> Page:
        answer: Page = send(*given, **more)  # type: ignore[arg-type]
        ada.driver.comment("1", disclosed("Schön!"), hidden=False)
        return answer

    monkeypatch.setattr(ben.fetcher, "post", sent_just_before_ada)
    receipt = ben.driver.comment("1", disclosed("Schön!"), hidden=False)
    assert {c["login"]: str(c["id"]) for c in site.comment_log}["ben"] == receipt.comment_id


@pytest.mark.parametrize(
    ("fault", "posted"),
    [
        ({"drop_after_post": 1}, True),
        ({"error_after_post": 1}, True),
        ({"drop_before_post": 1}, False),
        ({"errors": {"path": FORM, "status": 502}}, False),
        ({"canned": {FORM: {"status": 302, "headers": {"Location": "https://elsewhere.example/"}}}}, False),
        ({"canned": {FORM: {"status": 200, "body": "<h1>Danke</h1>"}}}, False),
    ],
    ids=["dropped after", "500 after", "dropped before", "502 before", "broken redirect", "unknown page"],
)
def test_an_answer_that_was_lost_is_unknown_and_a_look_at_the_article_decides(
    fault: dict, posted: bool, site: Site, visit: Visit
) -> None:
    driver = visit().driver
    site.fault(**fault)
    assert type(failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))) is PostUnknown
    assert posts(site) == [FORM]
    site.fault(**dict.fromkeys(fault))
    found = driver.find_comment("1", disclosed("Schön!").text, "Ada Frei")
    assert (found is not None) == posted == bool(site.comment_log)


def test_a_comment_that_is_answered_too_late_is_unknown_although_it_was_posted(
    site: Site, visit: Visit
) -> None:
    visitor = visit(timeout_seconds=1)
    real = visitor.fetcher.post
    visitor.fetcher.post = lambda *a, **k: (site.fault(slow_seconds=3), real(*a, **k))[1]  # type: ignore[method-assign]
    assert (
        type(failure(lambda: visitor.driver.comment("1", disclosed("Schön!"), hidden=False))) is PostUnknown
    )
    wait_until(lambda: site.comment_log, "the site has taken the comment")
    assert posts(site) == [FORM]


def test_twin_a_post_that_is_repeated_by_itself_is_two_comments(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a retrying HTTP client would do: the danger that "never repeated" keeps away."""
    once = Fetcher.post

    def post(self: Fetcher, path: str, fields: dict[str, str], *, referer: str) -> Page:
        try:
            return once(self, path, fields, referer=referer)
        except PostUnknown:
            return once(self, path, fields, referer=referer)

    driver = visit().driver
    monkeypatch.setattr(Fetcher, "post", post)
    site.fault(drop_after_post=1)
    driver.comment("1", disclosed("Schön!"), hidden=False)
    assert [comment["text"] for comment in site.comment_log] == [disclosed("Schön!").text] * 2


def test_a_session_that_ends_between_form_and_post_has_surely_posted_nothing(
    site: Site, visit: Visit
) -> None:
    driver = visit().driver
    site.fault(expire_before_post=1)
    assert type(failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))) is SessionExpired
    assert site.comment_log == []


def test_twin_a_redirect_to_the_login_taken_for_success_loses_the_comment(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = visit().driver
    monkeypatch.setattr(mymoment, "_leads_to_login", lambda location: False)
    site.fault(expire_before_post=1)
    assert driver.comment("1", disclosed("Schön!"), hidden=False).comment_id is None
    assert site.comment_log == []


@pytest.mark.parametrize("words", ["Der Kommentar ist zu lang.", "Keine <Links>!"])
def test_a_refused_comment_is_told_in_the_sites_words_although_the_answer_is_a_200(
    words: str, site: Site, visit: Visit
) -> None:
    driver = visit().driver
    site.fault(refuse_comments=words)
    error = failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))
    assert type(error) is RefusedBySite
    assert error.permanent
    assert words in str(error)
    assert posts(site) == [FORM]
    assert site.comment_log == []


def test_the_same_words_of_somebody_else_do_not_make_a_refused_comment_a_posted_one(
    site: Site, visit: Visit
) -> None:
    visit("ben").driver.comment("1", disclosed("Schön!"), hidden=False)
    driver = visit("ada").driver
    site.fault(refuse_comments="Nein.")
    assert type(failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))) is RefusedBySite
    site.fault(refuse_comments=None, canned={FORM: {"status": 302, "headers": {"Location": "/article/1/"}}})
    assert driver.comment("1", disclosed("Schön!"), hidden=False).comment_id is None
    assert [comment["login"] for comment in site.comment_log] == ["ben"]


def test_a_comment_that_is_slowed_down_was_not_taken(site: Site, gate: CountingGate, visit: Visit) -> None:
    driver = visit().driver
    site.fault(rate_limit={"path": FORM, "retry_after": 9})
    error = failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))
    assert (type(error), error.reason, error.after_seconds) == (SiteError, "RateLimited", 9)
    assert gate.held == [9]
    assert site.comment_log == []
    assert driver.comment("1", disclosed("Schön!"), hidden=False).comment_id


@pytest.mark.parametrize(
    ("further", "sent"), [(0, 0), (1, 0)], ids=["before the form", "between form and POST"]
)
def test_a_stop_before_the_post_keeps_the_comment_back(
    further: int, sent: int, site: Site, gate: CountingGate, visit: Visit
) -> None:
    driver = visit().driver
    before = len(site.requests)
    gate.close_after(further)
    with pytest.raises(Stopped):
        driver.comment("1", disclosed("Schön!"), hidden=False)
    assert len(site.requests) - before == further
    assert posts(site) == []


def test_a_stop_after_the_post_does_not_make_the_comment_unsaid(
    site: Site, gate: CountingGate, visit: Visit
) -> None:
    driver = visit().driver
    gate.close_after(2)
    receipt = driver.comment("1", disclosed("Schön!"), hidden=False)
    assert receipt.comment_id is None
    assert len(site.comment_log) == 1


@pytest.mark.parametrize(
    "fault", [{"expire_sessions": True}, {"changed_layout": True}, {"errors": {"times": 1}}]
)
def test_whatever_goes_wrong_before_the_post_no_post_is_sent(fault: dict, site: Site, visit: Visit) -> None:
    driver = visit().driver
    site.fault(**fault)
    error = failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))
    assert type(error) in (SessionExpired, SiteError)
    assert posts(site) == []


def test_a_hidden_comment_is_found_by_its_own_login(site: Site, visit: Visit) -> None:
    driver = visit("ada").driver
    site.fault(drop_after_post=1)
    failure(lambda: driver.comment("1", disclosed("Nur für dich."), hidden=True))
    assert driver.find_comment("1", disclosed("Nur für dich.").text, "Ada Frei") == str(
        site.comment_log[0]["id"]
    )
    assert visit("ben").driver.find_comment("1", disclosed("Nur für dich.").text, "Ada Frei") is None


def test_after_a_change_of_layout_a_look_does_not_claim_that_the_comment_is_missing(
    site: Site, visit: Visit
) -> None:
    driver = visit().driver
    site.fault(drop_after_post=1)
    failure(lambda: driver.comment("1", disclosed("Schön!"), hidden=False))
    site.fault(changed_layout=True)
    assert (
        failure(lambda: driver.find_comment("1", disclosed("Schön!").text, "Ada Frei")).reason
        == "LayoutChanged"
    )
