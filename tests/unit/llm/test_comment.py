"""From what a model wrote to what may be posted: pure."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_llm.comment import (
    DEFAULT_PREFIX,
    CommentRefused,
    CommentRules,
    compose,
    unique_share,
    without_prefix,
)
from rowlock_web.capabilities.comments import DisclosedText

RULES = CommentRules()
GOOD = "Deine Geschichte vom Hund gefällt mir sehr, weil du so genau erzählst, was er alles angestellt hat."
pieces = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "script",
        "<script>",
        "</script>",
        "<p>",
        "<b",
        "onload=x ",
        "&lt;",
        "&#60;",
        "&amp;lt;",
        '"',
        "'",
        "\n",
        "\n\n",
        " Wort",
    ]
)


def refused(text: str, rules: CommentRules = RULES) -> CommentRefused:
    with pytest.raises(CommentRefused) as caught:
        compose(text, rules)
    return caught.value


def test_a_comment_begins_with_the_disclosure_and_is_one_paragraph() -> None:
    comment = compose(GOOD, RULES)
    assert comment.text == f"[Dieser Kommentar stammt von einem KI-ChatBot.] {GOOD}"
    assert comment.html == f"<p>[Dieser Kommentar stammt von einem KI-ChatBot.] {GOOD}</p>"


def test_what_is_composed_is_what_a_site_driver_takes() -> None:
    made = compose(f"{GOOD}\n\n3 < 4 & <b>fett</b>, <custom x> und\nmehr", RULES)
    assert DisclosedText(made.html, RULES.prefix).text == made.html


def test_paragraphs_and_line_ends_are_kept() -> None:
    assert compose(f"{GOOD}\n\n\nUnd der Schluss?\nToll.", RULES).html.endswith(
        "hat.</p><p>Und der Schluss?<br>Toll.</p>"
    )


@pytest.mark.parametrize(
    "repeated",
    [
        DEFAULT_PREFIX + " ",
        f"<p>{DEFAULT_PREFIX}</p>\n",
        f"{DEFAULT_PREFIX} {DEFAULT_PREFIX}\n\n",
        "Dieser Kommentar stammt von einem KI-ChatBot. ",
        "[dieser  kommentar stammt\nvon einem KI-Chatbot]: "[:-3] + ".] ",
        f"**{DEFAULT_PREFIX}** ",
    ],
    ids=["as it is", "in HTML", "twice", "without brackets", "other case and blanks", "bold"],
)
def test_a_disclosure_that_the_model_wrote_itself_is_not_doubled(repeated: str) -> None:
    assert compose(repeated + GOOD, RULES).text == f"{DEFAULT_PREFIX} {GOOD}"


def test_a_short_prefix_takes_no_letters_from_the_first_word() -> None:
    assert without_prefix("Kinder spielen.", "KI") == "Kinder spielen."


@pytest.mark.parametrize("prefix", ["", "   ", "[]", "...", " [KI]", "[KI]\n"])
def test_rules_without_a_usable_disclosure_do_not_exist(prefix: str) -> None:
    with pytest.raises(ValueError, match="disclosure prefix"):
        CommentRules(prefix=prefix)


@pytest.mark.parametrize("wrong", [{"min_characters": 0}, {"max_characters": 90}, {"min_unique_words": 1.5}])
def test_rules_that_no_comment_can_meet_do_not_exist(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        CommentRules(**wrong)


@pytest.mark.parametrize(
    "text", ["", "  \n ", "<p></p>", "...", "null", "N/A", "Kein Kommentar.", DEFAULT_PREFIX, "\u200b\u200b"]
)
def test_nothing_is_refused_as_empty(text: str) -> None:
    assert refused(text).reason == "Empty"


@pytest.mark.parametrize(
    "text",
    [
        "Es tut mir leid, aber ich kann dazu leider keinen Kommentar verfassen.",
        "I'm sorry, but I can't help with that request.",
        "I’m sorry, I can’t assist with this text, please try another one.",
        "As an AI language model, I cannot comment on texts of this kind.",
        "Als KI-Sprachmodell kann ich diesen Text nicht kommentieren.",
        "Leider kann ich dir dabei nicht helfen.",
        "<p>I cannot help with this.</p>",
    ],
)
def test_a_model_that_declines_is_not_posted(text: str) -> None:
    assert refused(text).reason == "Refusal"


@pytest.mark.parametrize(
    "text",
    [
        "Leider konnte Tim seinem Freund nicht helfen, und das hat mich beim Lesen richtig traurig gemacht.",
        "Als KI habe ich keinen Hund, aber deine Geschichte hat mir gezeigt, wie schön das sein muss.",
        (
            "Schade, dass der Ausflug zu Ende war! Ich kann nicht genug davon lesen, wie ihr durch den Wald"
            " gelaufen seid."
        ),
    ],
)
def test_sad_words_alone_are_no_refusal(text: str) -> None:
    assert compose(text, RULES).text.endswith(text)


def test_fifty_characters_of_its_own_are_needed_the_prefix_does_not_count() -> None:
    text = "Abc defg hijkl mnopqr stu vwx yzäöü hund katze maus"
    assert compose(text[:50], RULES)
    short = refused(text[:49])
    assert (short.reason, str(short)) == ("TooShort", "the comment has 49 characters; at least 50 are needed")


def test_the_longest_comment_counts_with_its_prefix() -> None:
    rules = CommentRules(max_characters=len(DEFAULT_PREFIX) + 1 + len(GOOD))
    assert compose(GOOD, rules)
    assert refused(GOOD + "!", rules).reason == "TooLong"


@pytest.mark.parametrize(
    "text", ["schön " * 40, "Das ist toll. Das ist toll. " * 4, f"{GOOD} " * 5, "eins zwei " * 20]
)
def test_a_model_that_goes_round_in_circles_is_refused(text: str) -> None:
    assert refused(text).reason == "Repetitive"


def test_a_long_paragraph_told_again_and_again_is_refused_although_any_hundred_words_differ() -> None:
    paragraph = " ".join(f"Wort{i}a Wort{i}b Wort{i}c." for i in range(40))
    assert refused("\n\n".join([paragraph] * 3)).reason == "Repetitive"


def test_a_long_comment_is_not_refused_because_words_return() -> None:
    words = [f"Wort{i % 120}" for i in range(84 * 7)]
    text = ". ".join(" ".join(words[start : start + 7]) for start in range(0, len(words), 7))
    assert len(set(words)) / len(words) < 0.5  # what the old rule looked at
    assert unique_share(text) == 1.0


def test_a_placeholder_that_was_left_is_refused() -> None:
    assert refused(f"Liebe {{article_author}}, {GOOD}").reason == "UnresolvedPlaceholder"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<script>alert(1)</script>", ""),
        ("<script>alert(1)", ""),
        ("<ScRiPt src=x>alert(1)</sCrIpT >", ""),
        ("<img src=x onerror=alert(1)>", ""),
        ("<svg onload=alert(1)>", None),
        ("<custom-tag onclick=x>", "&lt;custom-tag onclick=x&gt;"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('<a href="javascript:x">hier</a>', "hier"),
        ("<!-- geheim -->", ""),
        ("3 < 4 & 5 > 2", "3 &lt; 4 &amp; 5 &gt; 2"),
        ("Gr&uuml;&szlig;e", "Grüße"),
        ("<b>sehr</b> <em class='x'>gut</em>", "sehr gut"),
        ("<ul><li>eins</li><li>zwei</li></ul>", "- eins<br>- zwei"),
        ("a\u202eb\u0000c\ud800", "ab\N{REPLACEMENT CHARACTER}c?"),
    ],
)
def test_markup_of_the_model_never_gets_out(written: str, shown: str | None) -> None:
    made = compose(f"{GOOD} {written}", RULES).html
    assert re.sub(r"</?p>|<br>", "", made).count("<") == 0
    if shown is not None:
        assert re.sub(r"</?p>", "", made.split("hat.", 1)[1]).strip() == shown


@given(st.lists(pieces, max_size=30).map("".join))
def test_whatever_is_written_only_our_own_tags_are_in_the_html(text: str) -> None:
    try:
        made = compose(f"{GOOD} {text}", RULES)
    except CommentRefused:
        return
    assert set(re.findall(r"<[^>]*>?", made.html)) <= {"<p>", "</p>", "<br>"}
    assert made.html.startswith(f"<p>{DEFAULT_PREFIX} ")
    assert (
        html.unescape(re.sub(r"</?p>|<br>", "", made.html)).split() == made.text.split()
        or "<br>" in made.html
        or "</p><p>" in made.html
    )


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_is_either_refused_or_can_be_stored(text: str) -> None:
    try:
        made = compose(text, CommentRules(min_characters=1, min_unique_words=0))
    except CommentRefused:
        return
    assert "\0" not in made.text
    made.html.encode("utf-8")
    assert made.text.startswith(DEFAULT_PREFIX)
