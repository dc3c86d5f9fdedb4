"""Turns a refusal of the API server into our errors; pure, so that every sentence can be tested."""

from dataclasses import dataclass
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.cluster.kinds import Kind
from rowlock_operator.errors import ApiUnavailable, Conflict, Forbidden, NotFound, RowlockError


class WatchExpired(RowlockError):
    """The resource version of a list or watch is too old (or from another life of the server): list again."""


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
    """Our error for an HTTP `status` of at least 400; `body` is the Status object, or whatever came instead."""
    message = str(body.get("message", "")) if isinstance(body, dict) else str(body)
    message = message[:1000] or f"HTTP {status}"
    if status == 401:
        return ApiUnavailable(f"{call}: the API server does not accept our credentials (401): check the service account's token", 5.0)
    if status == 403 and "is being terminated" in message:
        return NotFound(f"{call}: namespace {call.namespace} is being deleted, nothing can be created in it")
    if status == 403 and ("quota" in message or "admission" in message or "PodSecurity" in message):
        return reasons.REFUSED_BY_POLICY.error(call=call, why=message)
    if status == 403:
        return Forbidden(reasons.FORBIDDEN.says(call=call, right=call.rule))
    if status == 404:
        return NotFound(f"{call}: not found ({message})")
    if status == 409:
        return Conflict(f"{call}: {message}")
    if status == 410:
        return WatchExpired(f"{call}: {message}")
    if status in (400, 413, 415, 422) or "failed to create typed patch object" in message:
        # Server-side apply answers 500 to a field that the schema does not have (seen with 1.37): no repetition helps.
        return reasons.OBJECT_REFUSED.error(call=call, why=message)
    if status in (429, 500, 502, 503, 504):
        return ApiUnavailable(f"{call}: the API server is not able to answer now (HTTP {status}: {message})", retry_after_seconds)
    return reasons.UNEXPECTED_REPLY.error(call=call, status=status, why=message)


def patience_seconds(header: str | None, body: Any) -> float | None:
    """What the server asked us to wait: the Retry-After header (seconds), else `details.retryAfterSeconds`; None where it asked nothing."""
    details = body.get("details") if isinstance(body, dict) else None
    asked = header or (details.get("retryAfterSeconds") if isinstance(details, dict) else None)
    try:
        return max(0.0, float(asked)) if asked is not None else None
    except ValueError:
        return None
