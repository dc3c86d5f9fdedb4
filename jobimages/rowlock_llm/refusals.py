"""From an endpoint's refusal to the error a task raises. Pure: status, headers and words in, error out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_jobs.task import InputError, SiteError, TaskError
from rowlock_llm.errors import (
    LlmEndpointUnknown,
    LlmKeyInvalid,
    LlmModelUnknown,
    LlmQuotaExhausted,
    LlmRequestRefused,
)
from rowlock_web.fetch.retry_after import number_of_seconds, retry_after

_LONGEST_WAIT_SECONDS = 86_400.0
_SAID_CHARACTERS = 300
_KEY_WINDOW = 6
# Gemini says 400 for a wrong key, Mistral for an unknown model.
_BAD_KEY = re.compile(
    r"api[ _-]?key\b.{0,40}\b(?:not valid|invalid|expired|not found)|invalid[ _]api[ _-]?key",
    re.IGNORECASE | re.DOTALL,
)
_BAD_MODEL = re.compile(
    r"model_not_found|invalid[ _]model|\bmodels?\b.{0,120}\b(?:not found|does not exist|unknown|not"
    r" supported)",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = re.compile(
    r"context_length_exceeded|context (?:length|window)|too many tokens|prompt is too"
    r" long|string_above_max_length",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"content_filter|content_policy|content management policy|safety", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An answer that is not 2xx."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def error(self) -> dict[str, Any]:
        """The `error` object of the protocol; empty where the body is something else. Gemini wraps it in a
        list.
        """
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        found = found[0] if isinstance(found, list) and found else found
        inner = found.get("error", found) if isinstance(found, dict) else {}
        return inner if isinstance(inner, dict) else {"message": str(inner)}

    @property
    def codes(self) -> set[str]:
        return {str(self.error.get(name)) for name in ("code", "type", "status")}


def error_of(refusal: Refusal, *, model: str, key: str, now: datetime) -> TaskError:
    """What a task raises for this refusal. The key appears in none of its words, whatever the endpoint
    repeated.
    """
    status, body = refusal.status, refusal.body
    said = _said(refusal, key)
    if status == 402 or "insufficient_quota" in refusal.codes:
        return LlmQuotaExhausted(
            f"the account of the API key has no credit left (HTTP {status}): top it up, then requeue"
        )
    if status == 429:
        wait = retry_after_seconds(refusal.headers, now)
        told = f"it asks to wait {wait:g} s" if wait is not None else "it does not say how long to wait"
        return SiteError(
            "LlmRateLimited", f"the endpoint takes no more requests at the moment (HTTP 429); {told}", wait
        )
    if status in (408, 409, 425) or status >= 500:
        return SiteError(
            "LlmAway",
            f"the endpoint failed with HTTP {status}{said}",
            retry_after_seconds(refusal.headers, now),
        )
    if status in (400, 403, 404) and _BAD_MODEL.search(body) and not _BAD_KEY.search(body):
        return LlmModelUnknown(
            f"the endpoint does not know the model {model!r} (HTTP {status}): correct llm.model"
        )
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(body)):
        return LlmKeyInvalid(
            f"the endpoint refuses the API key (HTTP {status}): put a valid one into the Secret"
        )
    if status in (404, 405) or 300 <= status < 400:
        return LlmEndpointUnknown(
            f"there is no chat completion at the base URL (HTTP {status}): correct llm.baseURL; it often ends"
            " in /v1"
        )
    if status == 413 or _TOO_LONG.search(body):
        return InputError(
            "LlmPromptTooLong",
            f"prompt and article are too long for {model!r}: shorten the template or lower the caps{said}",
        )
    if _CONTENT.search(" ".join(refusal.codes) + str(refusal.error.get("message", ""))):
        return InputError(
            "LlmContentRefused",
            "the provider's content filter refuses this article; no comment is made for it",
        )
    return LlmRequestRefused(f"the endpoint refuses the request (HTTP {status}){said}")


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait an endpoint asks for, at most a day; None where it says none that can be read. `now` is for
    waits given as a date.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    milliseconds = number_of_seconds(lower.get("retry-after-ms"))
    asked = milliseconds / 1000 if milliseconds is not None else retry_after(lower.get("retry-after"), now)
    return None if asked is None else min(asked, _LONGEST_WAIT_SECONDS)


def redacted(text: str, key: str) -> str:
    """The text without any word that shares six characters in a row with the key: endpoints repeat keys
    whole, cut and starred.
    """
    windows = (
        {key[start : start + _KEY_WINDOW] for start in range(max(1, len(key) - _KEY_WINDOW + 1))}
        if key
        else set()
    )
    return " ".join("***" if any(window in word for window in windows) else word for word in text.split())


def _said(refusal: Refusal, key: str) -> str:
    words = redacted(str(refusal.error.get("message") or ""), key)
    return f": {words[:_SAID_CHARACTERS]}" if words else ""
