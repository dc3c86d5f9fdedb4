"""What a task returned or raised, in the ledger's words."""

import json
from typing import NoReturn

import pytest

from rowlock_jobs.errors import Canceled, InputError, NeedsReauth, Permanent, Retry, SiteError, SoftTimeLimit
from rowlock_jobs.outcome import (
    MESSAGE_LIMIT_CHARACTERS,
    RESULT_LIMIT_BYTES,
    TRACEBACK_LIMIT_CHARACTERS,
    failed,
    from_exception,
    storable,
    succeeded,
)


@pytest.mark.parametrize(
    ("error", "failure_class", "reason", "permanent"),
    [
        (Retry("x"), "app", "Retry", False),
        (Permanent("x"), "app", "Permanent", True),
        (InputError("NoText", "x"), "input", "NoText", False),
        (SiteError("TooMany", "x"), "site", "TooMany", False),
        (NeedsReauth("x"), "site", "NeedsReauth", True),
        (SoftTimeLimit("x"), "app", "SoftTimeLimit", False),
        (MemoryError(), "infra", "MemoryError", False),
        (KeyError("x"), "app", "KeyError", False),
        (SystemExit(3), "app", "SystemExit", False),
    ],
)
def test_every_error_has_its_class(
    error: BaseException, failure_class: str, reason: str, permanent: bool
) -> None:
    outcome = from_exception(error)
    failure = json.loads(outcome.failure or "")
    assert (outcome.kind, failure["class"], failure["reason"], failure.get("permanent", False)) == (
        "failed",
        failure_class,
        reason,
        permanent,
    )
    assert (outcome.failure_class, outcome.reason) == (failure_class, reason)


def test_a_task_that_stops_because_it_was_canceled_is_canceled() -> None:
    assert from_exception(Canceled("x")).kind == "canceled"


def test_a_delay_asked_for_reaches_the_ledger_and_is_never_negative() -> None:
    assert json.loads(from_exception(Retry("x", after_seconds=1.5)).failure or "")["after_seconds"] == 1.5
    assert json.loads(from_exception(Retry("x", after_seconds=-3)).failure or "")["after_seconds"] == 0.0


def test_texts_are_cut_to_what_the_ledger_keeps() -> None:
    failure = json.loads(failed("app", "X", "m" * 5000, trace="t" * 20_000).failure or "")
    assert len(failure["message"]) == MESSAGE_LIMIT_CHARACTERS
    assert len(failure["traceback"]) == TRACEBACK_LIMIT_CHARACTERS


def test_no_text_can_upset_postgresql() -> None:
    assert storable("a\x00b\ud800c") == "a\ufffdb?c"


def test_an_error_whose_own_str_raises_still_has_an_outcome() -> None:
    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert from_exception(Rude()).reason == "Rude"


def test_the_traceback_begins_in_the_task() -> None:
    def task_function() -> None:
        raise ValueError("x")

    try:
        task_function()
    except ValueError as error:
        trace = json.loads(from_exception(error).failure or "")["traceback"]
    assert "task_function" in trace
    assert "test_the_traceback_begins_in_the_task" not in trace


def test_a_result_of_exactly_the_limit_is_kept_and_one_byte_more_is_not() -> None:
    assert succeeded("x" * (RESULT_LIMIT_BYTES - 2)).kind == "succeeded"
    too_large = succeeded("x" * (RESULT_LIMIT_BYTES - 1))
    assert (too_large.kind, too_large.reason, json.loads(too_large.result or "")["remark"]) == (
        "succeeded",
        "ResultTooLarge",
        "ResultTooLarge",
    )


def test_work_that_is_done_stays_done_whatever_its_result_is() -> None:
    class Rude(dict[str, int]):
        def items(self) -> NoReturn:  # type: ignore[override]
            raise SystemExit(1)

    class Hungry(dict[str, int]):
        def items(self) -> NoReturn:  # type: ignore[override]
            raise MemoryError

    results = [object(), Rude(a=1), Hungry(a=1), "a\x00", {1: float("nan"), "1": {(1,): 2}}]
    outcomes = [succeeded(result) for result in results]
    assert {outcome.kind for outcome in outcomes} == {"succeeded"}
    assert [outcome.reason for outcome in outcomes] == [
        "ResultNotJson",
        "ResultNotJson",
        "ResultTooLarge",
        "ResultNotStorable",
        "ResultNotJson",
    ]
    assert all(json.loads(outcome.result or "").keys() == {"remark", "message"} for outcome in outcomes)


def test_none_is_a_result() -> None:
    assert succeeded(None).result is None
    assert succeeded({}).result == "{}"
