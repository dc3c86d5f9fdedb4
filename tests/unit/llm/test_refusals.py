"""What a refusal of an endpoint means: pure."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_jobs.task import TaskError
from rowlock_llm.errors import DEGRADES
from rowlock_llm.refusals import Refusal, error_of, redacted, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEY = "test-key-0123456789abcdef"


def error_for(status: int, body: object = "", **headers: str) -> TaskError:
    text = body if isinstance(body, str) else json.dumps(body)
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_of(Refusal(status=status, headers=found, body=text), model="m-1", key=KEY, now=NOW)


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, said("Incorrect API key provided"), "LlmKeyInvalid"),
        (401, "Unauthorized", "LlmKeyInvalid"),
        (403, said("Forbidden"), "LlmKeyInvalid"),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            "LlmKeyInvalid",
        ),
        (404, said("The model `m-1` does not exist", code="model_not_found"), "LlmModelUnknown"),
        (404, said('model "m-1" not found, try pulling it first'), "LlmModelUnknown"),
        (403, said("Project does not have access", code="model_not_found"), "LlmModelUnknown"),
        (
            400,
            {"object": "error", "message": "Invalid model: m-1", "type": "invalid_model"},
            "LlmModelUnknown",
        ),
        (404, "<html>404 Not Found</html>", "LlmEndpointUnknown"),
        (404, "404 page not found", "LlmEndpointUnknown"),
        (405, "", "LlmEndpointUnknown"),
        (302, "", "LlmEndpointUnknown"),
        (
            429,
            said("You exceeded your current quota", code="insufficient_quota", type="insufficient_quota"),
            "LlmQuotaExhausted",
        ),
        (402, said("Insufficient Balance"), "LlmQuotaExhausted"),
        (400, said("no such thing"), "LlmRequestRefused"),
        (422, {"detail": [{"loc": ["body"], "msg": "wrong"}]}, "LlmRequestRefused"),
    ],
)
def test_what_concerns_every_comment_of_a_process_ends_at_once_and_degrades_it(
    status: int, body: object, reason: str
) -> None:
    error = error_for(status, body)
    assert (error.reason, error.permanent) == (reason, True)
    assert error.reason in DEGRADES


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (429, said("Rate limit reached", code="rate_limit_exceeded"), "LlmRateLimited"),
        (
            429,
            [
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota",
                        "status": "RESOURCE_EXHAUSTED",
                    }
                }
            ],
            "LlmRateLimited",
        ),
        (500, "", "LlmAway"),
        (502, "<html>Bad Gateway</html>", "LlmAway"),
        (503, said("The model is overloaded"), "LlmAway"),
        (408, "", "LlmAway"),
    ],
    ids=["429", "Gemini's 429 of a minute", "500", "502", "503", "408"],
)
def test_a_bad_moment_is_tried_again_by_the_site_budget(status: int, body: object, reason: str) -> None:
    error = error_for(status, body)
    assert (error.failure_class, error.reason, error.permanent) == ("site", reason, False)
    assert error.reason not in DEGRADES


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            400,
            said("maximum context length is 8192 tokens", code="context_length_exceeded"),
            "LlmPromptTooLong",
        ),
        (413, "", "LlmPromptTooLong"),
        (400, said("filtered", code="content_filter"), "LlmContentRefused"),
    ],
)
def test_what_concerns_one_article_does_not_degrade_the_process(
    status: int, body: object, reason: str
) -> None:
    error = error_for(status, body)
    assert (error.failure_class, error.reason) == ("input", reason)
    assert error.reason not in DEGRADES


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "20", "retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "999999999"}, 86_400.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_the_wait_an_endpoint_asks_for_is_kept(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds
    assert (
        error_of(Refusal(status=429, headers=headers, body=""), model="m", key=KEY, now=NOW).after_seconds
        == seconds
    )


@given(st.text(max_size=40))
def test_no_header_makes_the_answer_fail(value: str) -> None:
    found = retry_after_seconds({"Retry-After": value}, NOW)
    assert found is None or 0 <= found <= 86_400


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503])
@pytest.mark.parametrize(
    "echo",
    [KEY, KEY[:9] + "*" * 8, f"'{KEY}',", f"Bearer={KEY[4:]}"],
    ids=["whole", "starred", "quoted", "its end"],
)
def test_a_key_that_the_endpoint_repeats_is_in_no_message(status: int, echo: str) -> None:
    for body in (said(f"Wrong: {echo} sorry"), {"detail": echo}, f"plain {echo}"):
        message = str(error_for(status, body))
        assert not any(KEY[i : i + 6] in message for i in range(len(KEY) - 5))


def test_the_rest_of_what_an_endpoint_says_is_shown_and_short() -> None:
    message = str(error_for(500, said(f"disk full on {KEY} " + "x" * 5000)))
    assert message.startswith("the endpoint failed with HTTP 500: disk full on *** x")
    assert len(message) < 400


def test_nothing_is_hidden_where_there_is_no_key() -> None:
    assert redacted("model not loaded", "") == "model not loaded"


@given(
    st.integers(100, 599),
    st.text(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists).map(json.dumps),
)
def test_any_refusal_becomes_an_error_with_a_sentence(status: int, body: str) -> None:
    assert str(error_for(status, body))
