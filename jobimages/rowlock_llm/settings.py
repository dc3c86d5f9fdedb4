"""Where the model is and what one answer may cost."""

from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

Provider = Literal["openai", "mistral", "gemini", "ollama", "compatible"]

BASE_URLS: dict[str, str] = {
    "openai": "https://api.openai.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "ollama": "http://ollama:11434/v1",
}


@dataclass(frozen=True, kw_only=True)
class LlmSettings:
    """Raises ValueError, naming the field, for values that cannot work."""

    provider: Provider
    """Only chooses the default base URL; every provider is spoken to in the same protocol."""
    model: str
    base_url: str = ""
    """Empty = the provider's own. Required for `compatible`."""
    temperature: float | None = 0.7
    """Left out where the model refuses it, as reasoning models do. None = never sent."""
    max_tokens: int = 2_000
    """Of one answer, thinking included."""
    timeout_seconds: float = 60.0
    """Without a byte from the endpoint; a model that answers in one piece is silent until it has finished."""
    connect_seconds: float = 10.0
    max_response_bytes: int = 2_000_000
    """A longer response is an endpoint gone wrong."""
    allow_private: bool = False
    """Whether the base URL may lead to a private or loopback address (a model inside the cluster)."""

    def __post_init__(self) -> None:
        if self.provider not in get_args(Provider):
            raise ValueError(
                f"llm.provider is {self.provider!r}; it must be one of {', '.join(get_args(Provider))}"
            )
        if not self.model.strip():
            raise ValueError("llm.model is empty; name the model to ask")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ValueError(f"llm.temperature is {self.temperature}; it must be between 0 and 2")
        for name in ("max_tokens", "timeout_seconds", "connect_seconds", "max_response_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"llm.{name} is {getattr(self, name)}; it must be above zero")
        _check_url(self.endpoint)

    @property
    def endpoint(self) -> str:
        """The base URL that counts, without a slash at its end."""
        return (self.base_url or BASE_URLS.get(self.provider, "")).rstrip("/")


def _check_url(url: str) -> None:
    if not url:
        raise ValueError("llm.base_url is empty; the provider 'compatible' has no address of its own")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("llm.base_url is no http(s) address; it looks like https://host/v1")
    # What is in a URL ends up in logs: not the place for a key, and this message does not repeat it.
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "llm.base_url holds a user, a password, a query or a fragment; the key goes into the Secret"
        )
