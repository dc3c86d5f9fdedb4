"""How a request to a language model fails; the name of each class is the reason users see.

Permanent
|-- LlmKeyInvalid        401, 403: the key is wrong, expired or not for this model
|-- LlmModelUnknown      the endpoint has no such model
|-- LlmQuotaExhausted    the account has no credit left
|-- LlmEndpointUnknown   nothing that speaks this protocol is at the base URL
`-- LlmRequestRefused    400 and the like: asking the same again changes nothing
Retry
`-- LlmAnswerUnusable    the model answered, twice, what must not be posted
InputError  LlmPromptTooLong, LlmContentRefused: this article, not the settings
SiteError   LlmRateLimited, LlmAway, LlmTimeout, LlmAnswerBroken: the endpoint has a bad moment
"""

from rowlock_jobs.task import Permanent, Retry


class LlmKeyInvalid(Permanent):
    """No request with this key will ever succeed."""


class LlmModelUnknown(Permanent):
    """No request for this model will ever succeed."""


class LlmQuotaExhausted(Permanent):
    """The account has to be topped up."""


class LlmEndpointUnknown(Permanent):
    """The base URL is wrong."""


class LlmRequestRefused(Permanent):
    """The endpoint does not take such requests."""


class LlmAnswerUnusable(Retry):
    """No answer could be posted. `why` is the reason of the last refusal, in CamelCase."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


DEGRADES = frozenset(
    kind.__name__
    for kind in (LlmKeyInvalid, LlmModelUnknown, LlmQuotaExhausted, LlmEndpointUnknown, LlmRequestRefused)
) | {"AddressRefused"}
"""Reasons that concern every comment of a process: with the first of these it is Degraded, and nothing more
is asked.
"""
