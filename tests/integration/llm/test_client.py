"""The client against an endpoint that misbehaves in every way the protocol allows."""

import socket

import pytest

from rowlock_jobs.task import InputError, Permanent, SiteError, TaskError
from rowlock_llm.client import LlmClient, Message
from tests.integration.llm.conftest import MakeClient
from tests.services.process import free_port
from tests.standins.llm import Running

pytestmark = pytest.mark.integration

MESSAGES: list[Message] = [
    {"role": "system", "content": "Answer with JSON holding comment_content."},
    {"role": "user", "content": "<article_title>Bo</article_title>"},
]


def failure(client: LlmClient) -> TaskError:
    with pytest.raises(TaskError) as caught:
        client.ask(MESSAGES)
    return caught.value


def test_an_answer_comes_with_what_it_cost(client: LlmClient, endpoint: Running) -> None:
    reply = client.ask(MESSAGES)
    assert "«Bo»" in reply.text
    assert (reply.finish, reply.declined) == ("stop", False)
    logged = endpoint.llm.log[0]["usage"]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (
        logged["prompt_tokens"],
        logged["completion_tokens"],
    )
    assert (reply.usage.model, reply.usage.requests, reply.usage.estimated) == ("stand-in", 1, False)


def test_an_endpoint_that_tells_no_tokens_is_not_free(client: LlmClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("no_usage")
    usage = client.ask(MESSAGES).usage
    assert usage.estimated
    assert usage.prompt_tokens > 20
    assert usage.completion_tokens > 20


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"name": "unauthorized"}, "LlmKeyInvalid"),
        ({"name": "forbidden"}, "LlmKeyInvalid"),
        ({"name": "gemini_key"}, "LlmKeyInvalid"),
        ({"name": "unknown_model"}, "LlmModelUnknown"),
        ({"name": "quota"}, "LlmQuotaExhausted"),
        ({"name": "payment"}, "LlmQuotaExhausted"),
        ({"name": "no_such_path"}, "LlmEndpointUnknown"),
        ({"name": "redirect"}, "LlmEndpointUnknown"),
        ({"name": "refused", "times": None}, "LlmRequestRefused"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_what_no_retry_can_help_is_permanent(
    client: LlmClient, endpoint: Running, fault: dict[str, object], reason: str
) -> None:
    endpoint.llm.add_fault(**fault)  # type: ignore[arg-type]
    error = failure(client)
    assert isinstance(error, Permanent)
    assert error.reason == reason


@pytest.mark.parametrize(
    ("fault", "reason", "after_seconds"),
    [
        ({"name": "rate_limit"}, "LlmRateLimited", 7.0),
        ({"name": "rate_limit", "retry_after": ""}, "LlmRateLimited", None),
        ({"name": "error"}, "LlmAway", None),
        ({"name": "error", "status": 503, "retry_after": "30"}, "LlmAway", 30.0),
        ({"name": "drop"}, "LlmAway", None),
        ({"name": "broken_body"}, "LlmAnswerBroken", None),
        ({"name": "html_page"}, "LlmAnswerBroken", None),
        ({"name": "other_json"}, "LlmAnswerBroken", None),
    ],
)
def test_a_bad_moment_is_the_sites_and_is_asked_only_once(
    client: LlmClient, endpoint: Running, fault: dict[str, object], reason: str, after_seconds: float | None
) -> None:
    endpoint.llm.add_fault(**fault)  # type: ignore[arg-type]
    error = failure(client)
    assert isinstance(error, SiteError)
    assert (error.reason, error.permanent, error.after_seconds) == (reason, False, after_seconds)
    assert len(endpoint.llm.log) == 1
    assert client.ask(MESSAGES).finish == "stop"


def test_an_endless_answer_is_not_read_to_its_end(make_client: MakeClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("comment", content="schön " * 20_000)
    error = failure(make_client(max_response_bytes=100_000))
    assert (error.reason, str(error)) == (
        "LlmAnswerBroken",
        "the endpoint's answer is longer than 100,000 bytes",
    )


def test_an_endpoint_that_is_silent_is_given_up_after_the_timeout(
    make_client: MakeClient, endpoint: Running
) -> None:
    endpoint.llm.add_fault("slow", seconds=60)
    error = failure(make_client(timeout_seconds=0.5))
    assert (error.failure_class, error.reason) == ("site", "LlmTimeout")
    assert "0.5 s" in str(error)


def test_an_endpoint_that_is_not_there_is_tried_again_later(make_client: MakeClient) -> None:
    error = failure(make_client(base_url=f"http://127.0.0.1:{free_port()}/v1"))
    assert (error.failure_class, error.reason) == ("site", "LlmAway")


def test_a_prompt_that_is_too_long_concerns_this_article_only(client: LlmClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("too_long")
    error = failure(client)
    assert isinstance(error, InputError)
    assert error.reason == "LlmPromptTooLong"


@pytest.mark.parametrize(
    ("fault", "field", "values"),
    [
        ("no_schema", "form", ["json_schema", "json_object"]),
        ("no_structure", "form", ["json_schema", "json_object", None]),
        ("vague_no_structure", "form", ["json_schema", "json_object", None]),
        ("no_temperature", "temperature", [0.7, None]),
    ],
)
def test_what_an_endpoint_refuses_is_left_out_and_remembered(
    make_client: MakeClient, endpoint: Running, fault: str, field: str, values: list[object]
) -> None:
    endpoint.llm.add_fault(fault, times=None)
    assert make_client().ask(MESSAGES).finish == "stop"
    assert [entry[field] for entry in endpoint.llm.log] == values
    assert make_client().ask(MESSAGES).finish == "stop"
    assert [entry[field] for entry in endpoint.llm.log] == [*values, values[-1]]


def test_a_reasoning_model_gets_its_own_name_of_the_limit_and_no_temperature(
    client: LlmClient, endpoint: Running
) -> None:
    endpoint.llm.add_fault("no_temperature", times=None)
    endpoint.llm.add_fault("no_max_tokens", times=None)
    assert client.ask(MESSAGES).finish == "stop"
    sent = endpoint.llm.bodies[-1]
    assert sent["max_completion_tokens"] == 2000
    assert "max_tokens" not in sent
    assert "temperature" not in sent
    assert sent["response_format"]["type"] == "json_schema"


def test_a_bad_minute_costs_no_structured_output_for_later(client: LlmClient, endpoint: Running) -> None:
    endpoint.llm.add_fault("refused", times=3, message="Bad request")
    assert failure(client).reason == "LlmRequestRefused"
    client.ask(MESSAGES)
    assert endpoint.llm.log[-1]["form"] == "json_schema"


def test_a_private_address_is_asked_only_where_it_is_allowed(
    make_client: MakeClient, endpoint: Running
) -> None:
    error = failure(make_client(allow_private=False))
    assert (error.reason, error.permanent) == ("AddressRefused", True)
    assert len(endpoint.llm.log) == 0
    make_client(allow_private=True).ask(MESSAGES)
    assert len(endpoint.llm.log) == 1


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_that_is_reached(
    make_client: MakeClient, endpoint: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers otherwise the second time is the known way around such checks."""
    looked_up: list[str] = []

    def lookup(host: str, port: int, *_: object, **__: object) -> list[object]:
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "127.0.0.99"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    client = make_client(base_url=f"http://llm.example:{endpoint.port}/v1")
    with monkeypatch.context() as patch:
        patch.setattr(
            "rowlock_web.fetch.addresses.socket.getaddrinfo",
            lambda host, *a, **k: real_or(lookup, host, *a, **k),
        )
        client.ask(MESSAGES)
    assert looked_up == ["llm.example"]
    assert len(endpoint.llm.log) == 1


_getaddrinfo = socket.getaddrinfo


def real_or(lookup: object, host: object, *rest: object, **named: object) -> object:
    """Numbers are no names: the connection itself may turn an address into numbers."""
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name == "127.0.0.1":
        return _getaddrinfo(name, *rest, **named)  # type: ignore[arg-type]
    return lookup(name, *rest, **named)  # type: ignore[operator]


def test_connections_are_kept_from_one_run_to_the_next(make_client: MakeClient, endpoint: Running) -> None:
    for _ in range(5):
        make_client().ask(MESSAGES)
    assert endpoint.llm.totals["connections"] == 1
