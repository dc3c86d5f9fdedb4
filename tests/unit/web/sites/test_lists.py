"""The list of articles: the tab that was asked for, and nothing else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowlock_jobs.task import InputError, SiteError
from rowlock_web.capabilities.articles import ArticleFilter, ArticleRef, chosen
from rowlock_web.sites.mymoment.lists import article_list

PAGES = Path(__file__).parent / "pages"
PUPIL = (PAGES / "list_pupil.html").read_text()
TEACHER = (PAGES / "list_teacher.html").read_text()
REDESIGNED = (PAGES / "redesigned.html").read_text()


def listed(html: str, tab: str = "alle", **wanted: int) -> list[ArticleRef]:
    return article_list(html, ArticleFilter(tab=tab, **wanted), tab=tab)


def refusal(html: str, tab: str = "alle", **wanted: int) -> InputError | SiteError:
    with pytest.raises((InputError, SiteError)) as raised:
        listed(html, tab, **wanted)
    return raised.value


def test_a_card_is_read_with_all_that_it_shows() -> None:
    assert listed(PUPIL)[0] == ArticleRef(
        id="901",
        url="/article/901/",
        title="Der Drache & das Tal",
        author="Anna von Arx",
        published_at=datetime(2026, 1, 28, 8, 24, tzinfo=UTC),
        status="publiziert",
        classroom="Klasse 5b",
    )


@pytest.mark.parametrize(
    ("tab", "ids"), [("alle", ["901", "902", "900"]), ("38", ["901"]), ("home", ["903"]), ("39", [])]
)
def test_only_the_articles_of_the_tab_are_listed(tab: str, ids: list[str]) -> None:
    assert [ref.id for ref in listed(PUPIL, tab)] == ids


def test_an_unknown_tab_is_an_error_that_names_the_tabs() -> None:
    error = refusal(PUPIL, "40")
    assert error.reason == "UnknownTab"
    assert "home, alle, 38, 39" in str(error)


def test_an_unknown_tab_of_a_teacher_is_seen_by_what_the_site_shows_instead() -> None:
    assert refusal(TEACHER, "40").reason == "UnknownTab"


def test_a_category_that_the_site_does_not_offer_is_an_error_that_names_the_others() -> None:
    error = refusal(PUPIL, category=5)
    assert error.reason == "UnknownFilter"
    assert "4 (Anleiten)" in str(error)
    assert listed(PUPIL, category=14)


def test_a_task_that_the_site_does_not_offer_is_an_error() -> None:
    assert refusal(PUPIL, task=99).reason == "UnknownFilter"


def test_teachers_see_a_table_and_its_rows_are_the_same_articles() -> None:
    first, second = listed(TEACHER)
    assert (first.id, first.title, first.author, first.status) == (
        "901",
        "Der Drache & das Tal",
        "Anna von Arx",
        "publiziert",
    )
    assert second.published_at == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert second.status == "entwurf"


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        (REDESIGNED, "ul#pills-tab"),
        (PUPIL.replace('id="pills-alle"', 'id="all"'), "div#pills-alle"),
        (PUPIL.replace("article-list", "story-grid"), "div.article-list"),
        (PUPIL.replace('class="card"', 'class="tile"'), ".card"),
        (PUPIL.replace("article-title", "headline"), ".article-title of article 901"),
        (PUPIL.replace("/article/", "/story/"), "link to /article/<id>/"),
        (TEACHER.replace("<td>Unterhalten</td><td>120</td>", ""), "7 columns"),
        ("", "ul#pills-tab"),
    ],
    ids=["all", "pane", "list", "card", "title", "link", "columns", "empty page"],
)
def test_a_changed_layout_is_an_error_that_names_what_is_missing_never_an_empty_list(
    html: str, missing: str
) -> None:
    error = refusal(html)
    assert error.reason == "LayoutChanged"
    assert missing in str(error)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (ArticleFilter(), ["901", "900", "902"]),
        (ArticleFilter(sort="oldest"), ["900", "901", "902"]),
        (ArticleFilter(sort="title"), ["901", "902", "900"]),
        (ArticleFilter(sort="site"), ["901", "902", "900"]),
        (ArticleFilter(search="DRACHE"), ["901", "900"]),
        (ArticleFilter(search="älter"), ["900"]),
        (ArticleFilter(search="Einhorn"), []),
        (ArticleFilter(limit=1), ["901"]),
    ],
    ids=[
        "newest, without date last",
        "oldest, without date last",
        "title",
        "site",
        "search",
        "umlaut",
        "no hit",
        "limit",
    ],
)
def test_search_order_and_limit(wanted: ArticleFilter, ids: list[str]) -> None:
    assert [ref.id for ref in chosen(listed(PUPIL), wanted)] == ids


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 201}, {"sort": "random"}])
def test_a_filter_that_cannot_be_meant_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError) as raised:
        ArticleFilter(**wrong)
    assert raised.value.reason == "BadFilter"
