"""Taking a model's answer apart: pure."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_llm.answer import Answer, AnswerUnreadable, read_answer

WHOLE = json.dumps({"reasoning_content": "freundlich", "comment_content": "Schöner Text!"})


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"```json\n{WHOLE}\n```",
        f"\n  {WHOLE}\n\nI hope this helps {{really}}!",
        f"Here is the JSON:\n{WHOLE}",
        '{"comment_content": "Schöner Text!", "reasoning_content": "freundlich", "score": 5}',
        f"<think>freundlich?</think>\n{WHOLE}",
    ],
    ids=[
        "as asked",
        "fenced",
        "with chatter after it",
        "with chatter before it",
        "other order and one more",
        "thinking aloud",
    ],
)
def test_both_parts_are_found(text: str) -> None:
    assert read_answer(text) == Answer(reasoning="freundlich", comment="Schöner Text!")


def test_line_ends_inside_of_strings_are_taken_as_they_are_meant() -> None:
    assert (
        read_answer('{"reasoning_content": "", "comment_content": "eins\n\nzwei"}').comment == "eins\n\nzwei"
    )


def test_thinking_aloud_is_the_reasoning_where_there_is_no_other() -> None:
    assert read_answer("<think>Ein Kind.\n</think>\nSchöner Text!") == Answer(
        reasoning="Ein Kind.", comment="Schöner Text!"
    )


def test_text_without_json_is_the_comment() -> None:
    assert read_answer(" Schöner Text {über} Hunde! ") == Answer(
        reasoning="", comment="Schöner Text {über} Hunde!"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WHOLE[:-5], "NotJson"),
        ('{"comment_content": }', "NotJson"),
        (f"Here it is: {WHOLE[:-4]}", "NotJson"),
        ('{"a":' * 100_000, "NotJson"),
        ("{}", "NoComment"),
        ('{"comment_content": null}', "NoComment"),
        ('{"comment_content": ["Schöner Text!"]}', "NoComment"),
    ],
    ids=["cut", "no value", "cut after chatter", "endless", "nothing in it", "null", "a list"],
)
def test_half_an_answer_is_refused_and_not_posted_as_text(text: str, reason: str) -> None:
    with pytest.raises(AnswerUnreadable) as caught:
        read_answer(text)
    assert caught.value.reason == reason


@given(
    st.text(st.sampled_from('{}[]"\\:,`<>/think comment_content\n\x00é'), max_size=80) | st.text(max_size=80)
)
def test_any_answer_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(AnswerUnreadable):
        assert isinstance(read_answer(text).comment, str)
