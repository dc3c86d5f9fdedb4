"""What answers of a model cost. Pure."""

from dataclasses import dataclass

_CHARACTERS_A_TOKEN = 3


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens and time of one answer, or of several together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    ms: int = 0
    """Milliseconds from request to answer."""
    model: str = ""
    """As the endpoint named it: an alias may stand for another model tomorrow."""
    requests: int = 0
    """Answers that were paid for."""
    estimated: bool = False
    """The endpoint told no tokens; they were estimated from the length of the texts, because unknown must not
    count as free.
    """

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            ms=self.ms + other.ms,
            model=other.model or self.model,
            requests=self.requests + other.requests,
            estimated=self.estimated or other.estimated,
        )


class Meter:
    """Adds up what one run has cost; read it after a failure as well."""

    def __init__(self) -> None:
        self.usage = Usage()

    def add(self, usage: Usage) -> None:
        self.usage += usage


def estimated_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few: German has about four characters a token, other scripts
    fewer.
    """
    return -(-len(text) // _CHARACTERS_A_TOKEN)
