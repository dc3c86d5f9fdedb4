"""The key is in no error, traceback, log line or repr, whatever the endpoint repeats."""

import copy
import logging

import pytest

from rowlock_jobs.outcome import from_exception
from rowlock_jobs.task import TaskError
from rowlock_llm.client import LlmClient, Message
from tests.integration.llm.conftest import KEY, MakeClient
from tests.standins.llm import Running

pytestmark = pytest.mark.integration

MESSAGES: list[Message] = [{"role": "user", "content": "comment_content"}]
FAULTS = [
    *(
        {"name": name}
        for name in (
            "unauthorized",
            "forbidden",
            "gemini_key",
            "rate_limit",
            "error",
            "drop",
            "broken_body",
            "html_page",
        )
    ),
    {"name": "refused", "times": None},
    {"name": "error", "status": 503},
    {"name": "error", "status": 418},
    {"name": "redirect"},
]


def shows_key(text: str) -> bool:
    return any(KEY[start : start + 6] in text for start in range(8, len(KEY) - 5))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_no_failure_shows_the_key_in_message_traceback_or_log(
    client: LlmClient, endpoint: Running, fault: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    endpoint.llm.add_fault(**copy.deepcopy(fault))  # type: ignore[arg-type]
    with pytest.raises(TaskError) as caught:
        client.ask(MESSAGES)
    assert not shows_key(str(from_exception(caught.value)))
    assert not shows_key(repr(caught.value))
    assert caplog.records
    assert not shows_key("\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records))


def test_a_wrong_key_is_not_shown_either(make_client: MakeClient) -> None:
    wrong = "wrong" + KEY[8:]
    with pytest.raises(TaskError) as caught:
        make_client(key=wrong).ask(MESSAGES)
    assert caught.value.reason == "LlmKeyInvalid"
    assert not shows_key(str(from_exception(caught.value)))


@pytest.mark.parametrize("broken", [f"{KEY}\nx", f"{KEY} x", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(
    make_client: MakeClient, broken: str
) -> None:
    with pytest.raises(TaskError) as caught:
        make_client(key=broken)
    assert caught.value.reason == "LlmKeyInvalid"
    assert not shows_key(str(from_exception(caught.value)))


def test_a_line_end_after_the_key_is_no_part_of_it(make_client: MakeClient) -> None:
    assert make_client(key=f"{KEY}\n").ask(MESSAGES).finish == "stop"


def test_a_client_shows_endpoint_and_model_only(client: LlmClient, endpoint: Running) -> None:
    assert repr(client) == f"LlmClient('{endpoint.base_url}', 'stand-in')"


def test_the_stand_in_itself_logs_no_key(client: LlmClient, endpoint: Running) -> None:
    client.ask(MESSAGES)
    assert not shows_key(str(list(endpoint.llm.log)))


def test_the_danger_is_real_the_librarys_own_error_shows_what_the_endpoint_repeats(
    client: LlmClient, endpoint: Running
) -> None:
    """The negative twin: without the translation, the same failure would carry the key into the ledger."""
    import openai

    endpoint.llm.add_fault("unauthorized")
    library = client._library()
    with pytest.raises(openai.AuthenticationError) as caught:
        library.chat.completions.create(model="stand-in", messages=MESSAGES)
    assert shows_key(str(from_exception(caught.value)))
