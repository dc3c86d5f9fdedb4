"""A second site is one file: feeds are found and read through the same interface, and never commented on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rowlock_jobs.task import InputError
from rowlock_web.capabilities.articles import ArticleFilter, Articles
from rowlock_web.capabilities.offered import offered
from rowlock_web.fetch.fetcher import Fetcher
from rowlock_web.sites.registry import open_site
from tests.integration.web.stage import CountingGate, failure, posts
from tests.standins.website import Site

pytestmark = pytest.mark.integration

Feed = Callable[[str], Articles]


@pytest.fixture
def feed(site: Site, fetch: Callable[..., Fetcher]) -> Feed:
    return lambda path="/feed.xml": offered(
        open_site("generic-rss", fetch(site.url + path)).articles, "articles"
    )


@pytest.mark.parametrize("path", ["/feed.xml", "/atom.xml"])
def test_the_articles_of_a_feed_are_found_and_read_from_their_pages(
    path: str, site: Site, gate: CountingGate, feed: Feed
) -> None:
    site.add_articles(
        {
            "title": "Mein <Berg>",
            "author": "Lia Rossi",
            "paragraphs": ["Ein & zwei. " * 20, "Drei."],
            "at": "2027-01-01T10:00:00+00:00",
        }
    )
    driver = feed(path)
    first, *others = driver.discover(ArticleFilter())
    assert (first.title, first.author, len(others)) == ("Mein <Berg>", "Lia Rossi", 19)
    assert first.published_at == site.articles[41].at
    article = driver.article(first.id)
    assert article.text == f"{('Ein & zwei. ' * 20).strip()}\n\nDrei."
    assert "Werbung" not in article.text
    assert gate.passed == len(site.requests) == 2


def test_another_pod_reads_an_article_that_it_has_not_discovered(site: Site, feed: Feed) -> None:
    found = feed("/atom.xml").discover(ArticleFilter())[3]
    assert feed("/atom.xml").article(found.id).title == found.title


def test_search_and_limit_work_and_filters_that_a_feed_has_not_are_refused(feed: Feed) -> None:
    assert [ref.title.endswith("(7)") for ref in feed("/feed.xml").discover(ArticleFilter(search="(7)"))] == [
        True
    ]
    for wrong in ({"tab": "alle"}, {"category": 4}, {"task": 10}):
        assert (
            failure(lambda wrong=wrong: feed("/feed.xml").discover(ArticleFilter(**wrong))).reason
            == "FilterNotSupported"
        )


def test_an_entry_that_links_to_another_host_is_read_from_the_feed_alone(site: Site, feed: Feed) -> None:
    item = (
        "<item><title>T</title><link>http://elsewhere.example/1/</link><description>&lt;p&gt;Aus dem"
        " Feed.&lt;/p&gt;</description></item>"
    )
    site.fault(
        canned={
            "/feed.xml": {
                "body": f'<rss version="2.0"><channel>{item}</channel></rss>',
                "kind": "application/rss+xml",
            }
        }
    )
    driver = feed("/feed.xml")
    assert driver.article(driver.discover(ArticleFilter())[0].id).text == "Aus dem Feed."
    assert [entry["path"] for entry in site.requests] == ["/feed.xml"]


@pytest.mark.parametrize(
    "link", ["http://[broken", "", "http://127.0.0.1:port/", "javascript:alert(1)", "https://127.0.0.1/"]
)
def test_an_entry_with_a_link_that_leads_nowhere_is_read_from_the_feed(
    link: str, site: Site, feed: Feed
) -> None:
    item = (
        f"<item><guid>7</guid><pubDate>nie</pubDate><link>{link}</link><description>Aus dem"
        " Feed.</description></item>"
    )
    site.fault(
        canned={
            "/feed.xml": {
                "body": f'<rss version="2.0"><channel>{item}</channel></rss>',
                "kind": "application/rss+xml",
            }
        }
    )
    driver = feed("/feed.xml")
    (ref,) = driver.discover(ArticleFilter())
    article = driver.article(ref.id)
    assert (article.text, article.title, article.published_at) == ("Aus dem Feed.", ref.id, None)
    assert {entry["path"] for entry in site.requests} == {"/feed.xml"}


def test_an_article_that_has_left_the_feed_is_the_rows_fault(feed: Feed) -> None:
    error = failure(lambda: feed("/feed.xml").article("https://m.example/gone/"))
    assert (type(error), error.reason) == (InputError, "NotFound")


def test_nobody_logs_in_at_a_feed_or_comments_on_it(site: Site, fetch: Callable[..., Fetcher]) -> None:
    opened = open_site("generic-rss", fetch(site.url + "/feed.xml"))
    assert opened.logins is None
    assert failure(lambda: offered(opened.comments, "comments")).reason == "NotOffered"
    assert posts(site) == []


@pytest.mark.parametrize(
    "body",
    [
        "<h1>Umgezogen</h1>",
        "",
        '{"items": []}',
        '<rss version="2.0"><channel><item><media:credit>x</media:credit></category></item><',
    ],
    ids=["page", "nothing", "json", "damaged"],
)
def test_what_is_no_feed_is_an_error_and_not_an_empty_list(body: str, site: Site, feed: Feed) -> None:
    site.fault(canned={"/feed.xml": {"body": body}})
    assert failure(lambda: feed("/feed.xml").discover(ArticleFilter())).reason == "LayoutChanged"


def test_an_answer_that_is_the_name_of_a_file_or_an_address_is_not_opened(
    site: Site, feed: Feed, tmp_path: Path
) -> None:
    local = tmp_path / "feed.xml"
    local.write_text(
        '<rss version="2.0"><channel><item><title>private</title><link>/x</link></item></channel></rss>'
    )
    for body in (str(local), f"file://{local}", f"{site.url}/feed.xml"):
        site.fault(canned={"/trap.xml": {"body": body}})
        assert failure(lambda: feed("/trap.xml").discover(ArticleFilter())).reason == "LayoutChanged"
    assert {entry["path"] for entry in site.requests} == {"/trap.xml"}


def test_a_feed_that_includes_local_files_or_grows_without_end_gives_nothing_away(
    site: Site, feed: Feed, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    head = (
        f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY f SYSTEM "file://{secret}"><!ENTITY e0 "ha">{bomb}]>'
    )
    item = "<item><title>x &f; &e8;</title><link>http://127.0.0.1/x</link></item>"
    site.fault(canned={"/feed.xml": {"body": f'{head}<rss version="2.0"><channel>{item}</channel></rss>'}})
    titles = [ref.title for ref in feed("/feed.xml").discover(ArticleFilter())]
    assert all("s3cret" not in title and len(title) < 1000 for title in titles)
