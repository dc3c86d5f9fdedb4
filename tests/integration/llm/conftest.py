"""A stand-in LLM a test, and clients that speak to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rowlock_llm.client import LlmClient
from rowlock_llm.dialect import forget_all
from rowlock_llm.settings import LlmSettings
from tests.standins.llm import Llm, Running, running

KEY = "stand-in-key-0123456789abcdef"

MakeClient = Callable[..., LlmClient]


@pytest.fixture
def endpoint() -> Iterator[Running]:
    forget_all()
    with running(Llm(keys={KEY}, models=["stand-in"])) as found:
        yield found


@pytest.fixture
def make_client(endpoint: Running) -> MakeClient:
    """A client of the stand-in; settings may be changed, and `key`."""

    def make(key: str = KEY, **changed: Any) -> LlmClient:
        values = {
            "provider": "compatible",
            "model": "stand-in",
            "base_url": endpoint.base_url,
            "allow_private": True,
            "timeout_seconds": 30,
        }
        return LlmClient(LlmSettings(**{**values, **changed}), key)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> LlmClient:
    return make_client()
