"""Speaks to one model at any endpoint with OpenAI's protocol. Never retries by itself: the ledger does.

The library is loaded at the first request (about 0.6 s and 45 MB, mostly types): workers that only post never
pay for it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

from rowlock_jobs.task import SiteError, TaskError
from rowlock_llm.dialect import Dialect, adapted, known_dialect, learned
from rowlock_llm.errors import LlmKeyInvalid
from rowlock_llm.refusals import Refusal, error_of
from rowlock_llm.settings import LlmSettings
from rowlock_llm.usage import Usage, estimated_tokens

# what is sent where no key is configured: the library insists on one, a model in the cluster does not
_NO_KEY = "none"


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    text: str
    finish: str
    """Why the model stopped, in the protocol's words: stop, length, content_filter..."""
    declined: bool
    """The model said in the protocol that it declines."""
    usage: Usage


class LlmClient:
    """`key` is read where the attempt begins and forgotten with this object. Raises LlmKeyInvalid for one
    that no header can carry.
    """

    def __init__(self, settings: LlmSettings, key: str) -> None:
        self.settings = settings
        self._key = key.strip() or _NO_KEY
        # The library's own error for such a key would show the key.
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            raise LlmKeyInvalid(
                "the API key holds blanks, line ends or letters beyond ASCII: put a valid one into the Secret"
            )

    def __repr__(self) -> str:
        return f"LlmClient({self.settings.endpoint!r}, {self.settings.model!r})"

    def ask(self, messages: Sequence[Message]) -> Reply:
        """One answer. An endpoint that refuses a field is asked again without it, and this process remembers.

        Raises the errors drawn in errors.py.
        """
        dialect = known_dialect(self.settings)
        first: TaskError | None = None
        while True:
            outcome = self._send(messages, dialect)
            if isinstance(outcome, Reply):
                learned(self.settings, dialect)
                return outcome
            error = error_of(outcome, model=self.settings.model, key=self._key, now=datetime.now(UTC))
            # What it said to the whole request says more than what it says to one without structured output.
            first = first or error
            simpler = (
                adapted(dialect, outcome.body)
                if outcome.status in (400, 422) and error.reason == "LlmRequestRefused"
                else None
            )
            if simpler is None:
                raise first if error.reason == "LlmRequestRefused" else error
            dialect = simpler

    def _send(self, messages: Sequence[Message], dialect: Dialect) -> Reply | Refusal:
        import openai

        from rowlock_web.fetch.bounded import AnswerTooLong

        started = time.monotonic()
        try:
            completion: Any = self._library().chat.completions.create(
                model=self.settings.model,
                messages=list(messages),
                stream=False,
                **dialect.fields(self.settings),
            )
        # Library errors hold the request with its key, and the endpoint's words: none of them goes on, not
        # even as a cause.
        except openai.APIStatusError as error:
            return Refusal(
                status=error.status_code, headers=dict(error.response.headers), body=error.response.text
            )
        except openai.APITimeoutError:
            raise SiteError(
                "LlmTimeout", f"the endpoint was silent for {self.settings.timeout_seconds:g} s"
            ) from None
        except openai.APIConnectionError as error:
            raise SiteError(
                "LlmAway", f"no connection to {self.settings.endpoint} ({type(error.__cause__).__name__})"
            ) from None
        except AnswerTooLong as error:
            raise SiteError("LlmAnswerBroken", f"the endpoint's answer is {error}") from None
        except (openai.OpenAIError, ValueError):
            raise self._broken() from None
        return self._reply(completion, messages, ms=round((time.monotonic() - started) * 1000))

    def _library(self) -> Any:
        import openai

        from rowlock_llm.transport import http_client

        settings = self.settings
        url = urlsplit(settings.endpoint)
        http = http_client(
            url.scheme,
            url.hostname or "",
            url.port or 0,
            allow_private=settings.allow_private,
            max_response_bytes=settings.max_response_bytes,
        )
        timeout = openai.Timeout(settings.timeout_seconds, connect=settings.connect_seconds)
        return openai.OpenAI(
            api_key=self._key, base_url=settings.endpoint, max_retries=0, timeout=timeout, http_client=http
        )

    def _reply(self, completion: Any, messages: Sequence[Message], *, ms: int) -> Reply:
        # The library does not check what it got: each field may be missing or of another kind.
        try:
            choice = completion.choices[0]
            text = choice.message.content or ""
            declined = bool(getattr(choice.message, "refusal", None))
            if not isinstance(text, str):
                raise TypeError
        except (AttributeError, IndexError, TypeError):
            raise self._broken() from None
        usage = _usage(completion, messages, text, ms=ms, model=self.settings.model)
        return Reply(text=text, finish=str(choice.finish_reason or ""), declined=declined, usage=usage)

    def _broken(self) -> SiteError:
        return SiteError(
            "LlmAnswerBroken",
            f"{self.settings.endpoint} answers, but not in OpenAI's protocol; is the base URL right?",
        )


def _usage(completion: Any, messages: Sequence[Message], text: str, *, ms: int, model: str) -> Usage:
    told = getattr(completion, "usage", None)
    prompt_tokens, completion_tokens = (
        getattr(told, "prompt_tokens", None),
        getattr(told, "completion_tokens", None),
    )
    named = str(getattr(completion, "model", None) or model)[:200]
    if isinstance(prompt_tokens, int) and isinstance(completion_tokens, int) and prompt_tokens > 0:
        return Usage(
            prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, ms=ms, model=named, requests=1
        )
    asked = sum(estimated_tokens(message["content"]) for message in messages)
    return Usage(
        prompt_tokens=asked,
        completion_tokens=estimated_tokens(text),
        ms=ms,
        model=named,
        requests=1,
        estimated=True,
    )
