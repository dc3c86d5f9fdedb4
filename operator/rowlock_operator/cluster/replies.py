"""Turns a refusal of the API server into our errors; pure, so that every sentence can be tested."""

import math
import re
from dataclasses import dataclass
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.api.manifest import Kind
from rowlock_operator.errors import AlreadyExists, ApiUnavailable, Conflict, Forbidden, NotFound, RowlockError

MOST_PATIENCE_SECONDS = 30.0
LEAST_PATIENCE_SECONDS = 0.1  # "now" and times gone by: not as fast as the network allows
MESSAGE_CHARACTERS = 1000
# An admission webhook or policy may refuse with any status, a 404 or 429 as well: what it says is of this
# object, not of the server.
_DENIED = re.compile(r"\bdenied (?:the )?request\b|^admission webhook ")
# What a sentence of the server may carry beside its meaning. Of an address the host is enough to know whom it
# speaks of.
_ADDRESS = re.compile(
    r"""([a-z][a-z0-9+.-]*://)(?:[^\s"'/?#]*@)?([^\s"'/?#]*)[^\s"',)]*?(?=[:.;]?(?:[\s"',)]|$))""",
    re.IGNORECASE,
)
_PASSWORD = re.compile(
    r"""(?<![.\w\]-])([\w-]*(?:password|passwd|pwd|token|secret|api[-_]?key|authorization)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_WHOLE_OBJECT = re.compile(r"(Invalid value: )[\w.*&\[\]]*\{.*\}", re.DOTALL)


class WatchExpired(RowlockError):
    """The resource version of a list or watch is too old (or from another life of the server): list again."""


class TlsRefused(ApiUnavailable):
    """One side does not accept the other's certificate: the cluster's CA was replaced, and ours is not yet,
    or is read no more.
    """


class HistoryReplaced(RowlockError):
    """Versions have gone back: etcd was restored from a backup. What was read before says nothing about what
    is there now.
    """


@dataclass(frozen=True)
class Call:
    """What we asked for, in the words of a Role: verb, kind, namespace, name, subresource."""

    verb: str
    kind: Kind
    namespace: str | None
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        what = "/".join(part for part in (self.kind.kind, self.namespace or "", self.name) if part)
        return f"{self.verb} {what}" + (f" ({self.subresource})" if self.subresource else "")

    @property
    def rule(self) -> str:
        """The right that a Role must grant for this call."""
        resource = f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster (ClusterRole)"
        return f'verb "{self.verb}" on resource "{resource}" of API group "{self.kind.group}" {where}'


def error_of(call: Call, status: int, body: Any, retry_after_seconds: float | None = None) -> RowlockError:
    """Our error for an HTTP `status` of at least 400; `body` is the Status object, or whatever came
    instead.
    """
    message = sentence(body) or f"HTTP {status}"
    if denied(body):
        return reasons.REFUSED_BY_POLICY.error(call=call, why=message)
    if status == 401:
        return ApiUnavailable(
            f"{call}: the API server does not accept our credentials (401): check the service account's"
            " token",
            5.0,
        )
    if status == 403 and "is being terminated" in message:
        return NotFound(f"{call}: namespace {call.namespace} is being deleted, nothing can be created in it")
    if status == 403 and ("quota" in message or "admission" in message or "PodSecurity" in message):
        return reasons.REFUSED_BY_POLICY.error(call=call, why=message)
    if status == 403:
        return Forbidden(reasons.FORBIDDEN.says(call=call, right=call.rule))
    if status == 404:
        return NotFound(f"{call}: not found ({message})")
    if status == 409:
        taken = isinstance(body, dict) and body.get("reason") == "AlreadyExists"
        return (AlreadyExists if taken else Conflict)(f"{call}: {message}")
    if status == 410:
        return WatchExpired(f"{call}: {message}")
    if status in (400, 413, 415, 422) or "failed to create typed patch object" in message:
        # Server-side apply answers 500 to a field that the schema does not have (seen with 1.37): no
        # repetition helps.
        return reasons.OBJECT_REFUSED.error(call=call, why=message)
    if status in (429, 500, 502, 503, 504):
        return ApiUnavailable(
            f"{call}: the API server is not able to answer now (HTTP {status}: {message})",
            retry_after_seconds,
        )
    return reasons.UNEXPECTED_REPLY.error(call=call, status=status, why=message)


def denied(body: Any) -> bool:
    """Whether a webhook or a policy refused this object, rather than the server the call."""
    return _DENIED.search(_message(body)) is not None


def sentence(body: Any) -> str:
    """What the server said, without the secrets that it may quote."""
    text = _message(body)[: 10 * MESSAGE_CHARACTERS]
    for pattern, instead in (
        (_WHOLE_OBJECT, r"\1{...}"),
        (_ADDRESS, r"\1\2"),
        (_BEARER, r"\1..."),
        (_PASSWORD, r"\1..."),
    ):
        text = pattern.sub(instead, text)
    return text[:MESSAGE_CHARACTERS].strip()


def _message(body: Any) -> str:
    return str(body.get("message") or "") if isinstance(body, dict) else str(body)


def patience_seconds(header: str | None, body: Any) -> float | None:
    """What the server asked us to wait: the Retry-After header (seconds), else `details.retryAfterSeconds`;
    None where it asked nothing that can be read. Whoever answers (the server, a webhook behind it, a proxy
    before it) is believed up to MOST_PATIENCE_SECONDS: a caller that comes back too early is told so again,
    one that stays away for an hour is missed by everybody.
    """
    details = body.get("details") if isinstance(body, dict) else None
    in_body = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return next((asked for each in (header, in_body) if (asked := _seconds(each)) is not None), None)


def _seconds(asked: Any) -> float | None:
    """Within the bounds; None for what is no number of seconds (a date, words, nan)."""
    if not isinstance(asked, str | int | float) or isinstance(asked, bool):
        return None
    try:
        seconds = float(asked)
    except ValueError:
        return None
    except OverflowError:  # an integer of more digits than a float has
        seconds = math.inf if int(asked) > 0 else -math.inf
    return None if math.isnan(seconds) else min(MOST_PATIENCE_SECONDS, max(LEAST_PATIENCE_SECONDS, seconds))
