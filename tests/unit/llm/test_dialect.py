"""What is left out of a request after an endpoint refused it: pure."""

import pytest

from rowlock_llm.dialect import Dialect, adapted
from rowlock_llm.settings import LlmSettings

SETTINGS = LlmSettings(provider="openai", model="m-1", temperature=0.3, max_tokens=500)


def test_a_request_asks_for_the_schema_first() -> None:
    fields = Dialect().fields(SETTINGS)
    assert fields["response_format"]["type"] == "json_schema"
    assert fields["response_format"]["json_schema"]["schema"]["required"] == [
        "reasoning_content",
        "comment_content",
    ]
    assert (fields["temperature"], fields["max_tokens"]) == (0.3, 500)


@pytest.mark.parametrize(
    ("dialect", "said", "then"),
    [
        (Dialect(), "response_format json_schema is not supported", Dialect(form="json_object")),
        (Dialect(form="json_object"), "response_format is not supported", Dialect(form="text")),
        (Dialect(), "Bad request", Dialect(form="json_object")),
        (Dialect(), "'temperature' does not support 0.3", Dialect(temperature=False)),
        (
            Dialect(),
            "'max_tokens' is not supported. Use 'max_completion_tokens'",
            Dialect(limit_field="max_completion_tokens"),
        ),
        (Dialect(), "response_format: wrong; temperature: fine", Dialect(form="json_object")),
        (Dialect(form="text"), "Bad request", None),
        (Dialect(form="text", temperature=False), "temperature again", None),
    ],
)
def test_one_thing_is_left_out_at_a_time(dialect: Dialect, said: str, then: Dialect | None) -> None:
    assert adapted(dialect, said) == then


def test_leaving_out_comes_to_an_end_whatever_is_said() -> None:
    for said in ("", "temperature max_tokens", "response_format"):
        dialect: Dialect | None = Dialect()
        for _ in range(5):
            dialect = adapted(dialect, said) if dialect else None
        assert dialect is None


def test_what_an_endpoint_does_not_know_is_not_sent() -> None:
    fields = Dialect(form="text", temperature=False, limit_field="max_completion_tokens").fields(SETTINGS)
    assert fields == {"max_completion_tokens": 500}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"provider": "acme"}, "llm.provider"),
        ({"model": " "}, "llm.model"),
        ({"temperature": 2.5}, "llm.temperature"),
        ({"max_tokens": 0}, "llm.max_tokens"),
        ({"timeout_seconds": 0}, "llm.timeout_seconds"),
        ({"provider": "compatible"}, "llm.base_url"),
        ({"base_url": "ftp://x/v1"}, "llm.base_url"),
        ({"base_url": "https://"}, "llm.base_url"),
        ({"base_url": "https://x:port/v1"}, "llm.base_url"),
        ({"base_url": "https://x/v1?key=geheim"}, "llm.base_url"),
        ({"base_url": "https://user:geheim@x/v1"}, "llm.base_url"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_field(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        LlmSettings(**{"provider": "openai", "model": "m", **wrong})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({"provider": "mistral"}, "https://api.mistral.ai/v1"),
        ({"provider": "ollama", "base_url": "http://models.ai:11434/v1/"}, "http://models.ai:11434/v1"),
    ],
)
def test_a_base_url_of_ones_own_wins_over_the_provider(given: dict[str, str], endpoint: str) -> None:
    assert LlmSettings(model="m", **given).endpoint == endpoint
