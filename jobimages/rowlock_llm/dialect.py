"""What an endpoint understands of the protocol, found out by asking. Pure, but for what it remembers.

Compatible endpoints differ in three things: structured output, the temperature of reasoning models, and the
name of the token limit.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from rowlock_llm.answer import SCHEMA
from rowlock_llm.settings import LlmSettings

Form = Literal["json_schema", "json_object", "text"]

_LESS: dict[Form, Form] = {"json_schema": "json_object", "json_object": "text"}
_ABOUT_FORM = re.compile(r"response_?format|json_?schema|json_?object|structured", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    form: Form = "json_schema"
    temperature: bool = True
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The older name first: everybody but OpenAI's reasoning models takes it, and some know no other."""

    def fields(self, settings: LlmSettings) -> dict[str, Any]:
        """The fields of a request that this endpoint takes."""
        fields: dict[str, Any] = {self.limit_field: settings.max_tokens}
        if self.temperature and settings.temperature is not None:
            fields["temperature"] = settings.temperature
        if self.form == "json_schema":
            fields["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "comment", "strict": True, "schema": SCHEMA},
            }
        elif self.form == "json_object":
            fields["response_format"] = {"type": "json_object"}
        return fields


def adapted(dialect: Dialect, said: str) -> Dialect | None:
    """What to try after the endpoint refused a request with these words (its whole body); None where nothing
    is left to leave out.

    Words that name no field cost structured output: endpoints that do not know it often say no more than "bad
    request".
    """
    about_form = _ABOUT_FORM.search(said) is not None
    if not about_form and "temperature" in said and dialect.temperature:
        return replace(dialect, temperature=False)
    if not about_form and "max_tokens" in said and dialect.limit_field == "max_tokens":
        return replace(dialect, limit_field="max_completion_tokens")
    less = _LESS.get(dialect.form)
    return replace(dialect, form=less) if less else None


_known: dict[tuple[str, str], Dialect] = {}


def known_dialect(settings: LlmSettings) -> Dialect:
    """What this process has learned of the endpoint and model."""
    return _known.get((settings.endpoint, settings.model), Dialect())


def learned(settings: LlmSettings, dialect: Dialect) -> None:
    """Call after a request succeeded, never on a suspicion: a bad minute must not cost structured output for
    the life of the process.
    """
    _known[settings.endpoint, settings.model] = dialect


def forget_all() -> None:
    """For tests."""
    _known.clear()
