"""The page of one article: its text, the form, and whether a comment is there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowlock_jobs.task import InputError, SiteError
from rowlock_web.sites.mymoment import articles

PAGES = Path(__file__).parent / "pages"
ARTICLE = (PAGES / "article.html").read_text()
SPOKEN = (PAGES / "article_spoken.html").read_text()
REFUSED = (PAGES / "comment_refused.html").read_text()
REDESIGNED = (PAGES / "redesigned.html").read_text()


def test_an_article_is_read_with_its_facts() -> None:
    article = articles.read_article(ARTICLE, "17", "https://m.example/article/17/")
    assert (article.title, article.author) == ("Der Ritter von Burg", "Cleo")
    assert article.text == 'Es war einmal ein Ritter.\n\nEr schrieb "{article_title}" an die Wand.'
    assert (article.category, article.category_id, article.task) == ("Unterhalten", 9, "Ein Abenteuer")
    assert article.published_at == datetime(2026, 1, 28, 8, 24, tzinfo=UTC)
    assert article.html.startswith('<div class="article">')


def test_without_paragraphs_the_text_to_be_spoken_counts() -> None:
    assert articles.read_article(SPOKEN, "18", "u").text == "Mein Hund heisst Rex.\nEr bellt."


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        (REDESIGNED, "h1"),
        (
            ARTICLE.replace(" von Cleo", "").replace("Ritter von Burg", "Ritter").replace("  von Cleo", ""),
            "h1",
        ),
        (ARTICLE.replace('class="article"', 'class="story"'), ".article"),
        (ARTICLE.replace("highlight-target", "body"), "highlight-target"),
        ("", "h1"),
    ],
    ids=["all", "heading without author", "article", "text", "empty page"],
)
def test_a_changed_layout_names_what_is_missing(html: str, missing: str) -> None:
    with pytest.raises(SiteError) as raised:
        articles.read_article(html, "17", "u")
    assert raised.value.reason == "LayoutChanged"
    assert missing in str(raised.value)


def test_the_token_is_the_comment_forms_and_not_the_navigations() -> None:
    assert articles.form_token(ARTICLE, "17") == "token-of-the-form"


@pytest.mark.parametrize(
    "html", [SPOKEN, ARTICLE.replace("token-of-the-form", "")], ids=["no form", "no token"]
)
def test_without_a_form_nobody_can_comment(html: str) -> None:
    with pytest.raises(SiteError) as raised:
        articles.form_token(html, "17")
    assert raised.value.reason == "LayoutChanged"


def test_the_errors_of_a_form_that_is_shown_again_are_its_own() -> None:
    assert articles.form_errors(REFUSED) == "Der Kommentar ist zu lang."
    assert articles.form_errors(ARTICLE) == ""
    assert articles.form_errors(SPOKEN) is None


@pytest.mark.parametrize(
    ("text", "author", "found"),
    [
        ("<p>[KI] Schön erzählt!</p>", "Ada Frei", "71"),
        ("[KI] Schön erzählt!", "ada frei ", "71"),
        ("<p>[KI] Schön <strong>erzählt</strong>!</p>", "Ben", "70"),
        ("[KI] Schön erzählt!", "Cleo", None),
        ("[KI] Nie geschrieben", "Ada Frei", None),
    ],
    ids=["mine", "without markup", "the others'", "somebody else", "nowhere"],
)
def test_a_comment_is_found_by_its_words_and_its_author(text: str, author: str, found: str | None) -> None:
    assert articles.find(ARTICLE, "17", text, author) == found


@pytest.mark.parametrize(
    "html",
    [
        ARTICLE.replace('class="comment"', 'class="reply"'),
        ARTICLE.replace("comment-author", "who"),
        ARTICLE.replace("</section>", "<div>[KI] Schön erzählt!</div></section>"),
    ],
    ids=["no comment is recognised", "no author is recognised", "one place is not recognised"],
)
def test_words_on_the_page_that_cannot_be_assigned_are_an_error_and_not_an_absence(html: str) -> None:
    with pytest.raises(SiteError) as raised:
        articles.find(html, "17", "[KI] Schön erzählt!", "Ada Frei")
    assert raised.value.reason == "LayoutChanged"


@pytest.mark.parametrize("html", ["", REDESIGNED], ids=["empty page", "another layout"])
def test_a_page_that_is_no_article_proves_no_absence(html: str) -> None:
    with pytest.raises(SiteError) as raised:
        articles.find(html, "17", "[KI] Nie geschrieben", "Ada Frei")
    assert raised.value.reason == "LayoutChanged"


def test_a_comment_without_words_cannot_be_looked_for() -> None:
    with pytest.raises(InputError) as raised:
        articles.find(ARTICLE, "17", "<p> </p>", "Ada Frei")
    assert raised.value.reason == "EmptyComment"
