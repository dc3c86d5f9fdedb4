"""What the parent believes of a child's answer: anything but an answer is no answer, however well it is
written.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowlock_jobs.outcome import Outcome, canceled, failed, succeeded, with_note
from rowlock_jobs.worker import wire
from rowlock_jobs.worker.child import BatchReleased, _encode_result, decode_result
from rowlock_jobs.worker.execute import CommittedByTask, CommitUnknown

GOOD = '{"class": "app", "reason": "X", "message": "m"}'


@pytest.mark.parametrize(
    "answer",
    [
        succeeded(None),
        succeeded({"a": "\u00fc"}),
        failed("site", "TooMany", "m", permanent=True, after_seconds=5, trace="t"),
        canceled("c"),
        CommittedByTask("succeeded"),
        CommittedByTask(None),
        CommitUnknown(),
    ],
)
def test_an_answer_comes_out_as_it_went_in(answer: Outcome | CommittedByTask | CommitUnknown) -> None:
    message = json.loads(json.dumps(_encode_result(answer, 0.25)))
    assert decode_result(message) == (0.25, answer)
    assert decode_result(["released", 0.0]) == (0.0, BatchReleased())


def _done(
    kind: Any = "failed",
    result: Any = None,
    failure: Any = GOOD,
    failure_class: Any = "app",
    reason: Any = "X",
    seconds: Any = 1,
) -> Any:
    return ["done", seconds, kind, result, failure, failure_class, reason]


@pytest.mark.parametrize(
    "message",
    [
        [],
        [[]],
        [None, 1],
        ["done"],
        ["done", 1],
        ["released"],
        ["released", "soon"],
        ["released", 1, 2],
        ["committed", 1],
        ["committed", 1, "pending"],
        ["committed", 1, {}],
        ["unknown", 1, None],
        _done(seconds=-1),
        _done(seconds=float("nan")),
        _done(seconds=float("inf")),
        _done(seconds=10**400),
        _done(seconds="1"),
        _done(kind="well"),
        _done(kind=["succeeded"]),
        _done(kind="succeeded"),  # with a failure
        _done(kind="succeeded", failure=None, result={"a": 1}),
        _done(kind="succeeded", failure=None, result="x" * 1_000_001),
        _done(kind="succeeded", failure=None, result='"a\x00b"'),
        _done(kind="succeeded", failure=None, result='"\ud800"'),
        _done(result="1"),  # a failure with a result
        _done(failure=None),
        _done(failure=""),
        _done(failure="{"),
        _done(failure="[]"),
        _done(failure="{}"),
        _done(failure="[" * 100_000),
        _done(failure='{"class": "worst"}'),
        _done(failure='{"class": ["app"]}'),
        _done(failure='{"class": "app", "permanent": "maybe"}'),
        _done(failure='{"class": "app", "after_seconds": "soon"}'),
        _done(failure='{"class": "app", "after_seconds": 1e300}'),
        _done(failure='{"class": "app", "after_seconds": NaN}'),
        _done(failure='{"class": "app", "after_seconds": true}'),
        _done(reason="a\x00b"),
        _done(reason="\ud800"),
        _done(failure_class=None),
    ],
)
def test_json_of_another_shape_is_no_answer(message: Any) -> None:
    with pytest.raises(wire.Spoiled):
        decode_result(message)


_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(["done", "committed", "left", "app", GOOD]),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_json, max_size=8))
def test_whatever_arrives_is_an_answer_or_is_none(message: list[Any]) -> None:
    try:
        seconds, _ = decode_result(message)
        assert 0 <= seconds < float("inf")
    except wire.Spoiled:
        pass


def test_a_note_in_place_of_what_cannot_be_stored_keeps_the_verdict() -> None:
    assert with_note(succeeded({"a": 1}), "no").kind == "succeeded"
    assert json.loads(with_note(succeeded({"a": 1}), "no").result or "")["remark"] == "ResultNotStorable"
    noted = json.loads(with_note(failed("site", "TooMany", "m", permanent=True), "no").failure or "")
    assert (noted["class"], noted["reason"], noted["permanent"]) == ("site", "TooMany", True)
    assert with_note(canceled("c"), "no").kind == "canceled"
