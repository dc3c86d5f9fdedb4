"""No comment without the disclosure that a machine wrote it."""

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_jobs.task import InputError
from rowlock_llm.comment import CommentRefused, CommentRules, compose
from rowlock_web.capabilities.comments import DisclosedText, visible

PREFIX = "[Dieser Kommentar stammt von einem KI-ChatBot.]"


@pytest.mark.parametrize(
    "text",
    [
        f"{PREFIX} Schön!",
        f"<p>{PREFIX} Schön!</p>",
        f"<p>{PREFIX}</p><p>Sehr <strong>schön</strong>!<br/>Weiter so.</p>",
        f"  {PREFIX}\nSchön, 3 < 5 & 7!",
        "<p>[Dieser Kommentar\n stammt von einem&nbsp;KI-ChatBot.] Schön!</p>",
    ],
)
def test_a_disclosed_comment_is_taken(text: str) -> None:
    assert DisclosedText(text, PREFIX).text == text


@pytest.mark.parametrize(
    ("text", "prefix", "reason"),
    [
        ("Schön!", PREFIX, "NotDisclosed"),
        (f"Schön! {PREFIX}", PREFIX, "NotDisclosed"),
        ("", PREFIX, "NotDisclosed"),
        (PREFIX, PREFIX, "NotDisclosed"),
        (f"<p>{PREFIX}</p>", PREFIX, "NotDisclosed"),
        ("Schön!", "", "PrefixMissing"),
        ("Schön!", "  ", "PrefixMissing"),
        (f"<!-- {PREFIX} -->Schön!", PREFIX, "CommentMarkup"),
        (f"<p hidden>{PREFIX}</p>Schön!", PREFIX, "CommentMarkup"),
        (f'<p style="display:none">{PREFIX}</p>Schön!', PREFIX, "CommentMarkup"),
        (f"<title>{PREFIX}</title>Schön!", PREFIX, "CommentMarkup"),
        (f"<p>{PREFIX} x</p><script>steal()</script>", PREFIX, "CommentMarkup"),
        (f"<p>{PREFIX} x</p><scr<b>ipt>", PREFIX, "CommentMarkup"),
        (f'<p>{PREFIX} <a href="https://x.example">x</a></p>', PREFIX, "CommentMarkup"),
        (f"{PREFIX} x<img src=x onerror=y>", PREFIX, "CommentMarkup"),
    ],
)
def test_anything_else_is_refused_with_its_reason(text: str, prefix: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        DisclosedText(text, prefix)
    assert raised.value.reason == reason
    assert str(raised.value)


@given(st.text(), st.text(min_size=1))
def test_what_is_taken_always_begins_with_the_prefix_for_a_reader(text: str, prefix: str) -> None:
    try:
        taken = DisclosedText(text, prefix)
    except InputError:
        return
    assert visible(taken.text).startswith(visible(escape(prefix)))
    assert prefix.strip()


def test_a_prefix_is_plain_text_also_where_it_looks_like_markup() -> None:
    assert DisclosedText("<p>&lt;KI&gt; &amp; Co: Schön!</p>", "<KI> & Co:")


@given(st.text(min_size=1, max_size=300), st.sampled_from([PREFIX, "<KI> & Co:", "KI:"]))
def test_whatever_is_composed_may_be_posted(written: str, prefix: str) -> None:
    try:
        comment = compose(f"Mir gefällt {written}", CommentRules(prefix=prefix, min_characters=1))
    except CommentRefused:
        return
    assert DisclosedText(comment.html, prefix)
