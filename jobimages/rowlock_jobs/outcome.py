"""What became of one attempt, in the words of the ledger's finish fence. Pure: the ledger alone decides between retry and dead."""

import json
import math
import traceback
from dataclasses import dataclass
from typing import Any, Literal

from rowlock_jobs.errors import Canceled, TaskError

OutcomeKind = Literal["succeeded", "failed", "canceled", "unknown"]
FailureClass = Literal["infra", "app", "site", "input"]

RESULT_LIMIT_BYTES = 1_000_000
MESSAGE_LIMIT_CHARACTERS = 1_000
TRACEBACK_LIMIT_CHARACTERS = 8_000
LONGEST_AFTER_SECONDS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result` and `failure` are JSON text, ready for the ledger; `failure_class` and `reason` are for logs and Redis (no user data)."""

    kind: OutcomeKind
    result: str | None = None
    failure: str | None = None
    failure_class: str = ""
    reason: str = ""


def succeeded(result: Any) -> Outcome:
    """The outcome of a task that returned; a result that cannot be stored is the task's own, permanent failure."""
    if result is None:
        return Outcome("succeeded")
    try:
        text = json.dumps(result, allow_nan=False)
    except MemoryError:
        return failed("infra", "MemoryError", "the memory did not suffice for the JSON of the task's return value")
    except Exception as error:  # noqa: BLE001 - methods of the task's own classes may raise anything
        return failed("app", "ResultNotJson", f"the task's return value is not JSON: {_text(error)}", permanent=True)
    # JSON text is ASCII here, so characters are bytes.
    if len(text) > RESULT_LIMIT_BYTES:
        message = f"the result has {len(text)} bytes of JSON, {RESULT_LIMIT_BYTES} are allowed; store it elsewhere and return its place"
        return failed("app", "ResultTooLarge", message, permanent=True)
    return Outcome("succeeded", result=text)


def failed(
    failure_class: FailureClass,
    reason: str,
    message: str,
    *,
    permanent: bool = False,
    after_seconds: float | None = None,
    trace: str = "",
) -> Outcome:
    """A failure of the given class. `after_seconds`: the earliest next try."""
    failure = _failure(failure_class, reason, message)
    if permanent:
        failure["permanent"] = True
    if after_seconds is not None:
        failure["after_seconds"] = min(max(0.0, after_seconds), LONGEST_AFTER_SECONDS)
    if trace:
        failure["traceback"] = _both_ends(storable(trace), TRACEBACK_LIMIT_CHARACTERS)
    return Outcome("failed", failure=json.dumps(failure), failure_class=failure_class, reason=failure["reason"])


def canceled(message: str) -> Outcome:
    """The run was asked to end and did."""
    return Outcome("canceled", failure=json.dumps(_failure("app", "Canceled", message)), failure_class="app", reason="Canceled")


def from_exception(error: BaseException) -> Outcome:
    """The outcome of a task that raised."""
    if isinstance(error, Canceled):
        return canceled(_text(error) or "the run was canceled and its task stopped")
    if isinstance(error, TaskError):
        return failed(
            error.failure_class,  # type: ignore[arg-type]
            str(error.reason),
            _text(error),
            permanent=error.permanent,
            after_seconds=_seconds(error.after_seconds),
            trace=_trace(error),
        )
    if isinstance(error, MemoryError):
        return failed("infra", "MemoryError", "the task ran out of memory", trace=_trace(error))
    return failed("app", type(error).__name__, _text(error), trace=_trace(error))


def not_storable(error: str) -> Outcome:
    """The ledger could not store the result (a NUL character, half a surrogate pair, a number out of range)."""
    return failed("app", "ResultNotStorable", f"PostgreSQL cannot store the result as jsonb: {error}", permanent=True)


def storable(text: str) -> str:
    """Text that PostgreSQL can hold: without NUL characters and lone surrogates."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _failure(failure_class: str, reason: str, message: str) -> dict[str, Any]:
    return {"class": failure_class, "reason": storable(reason)[:200], "message": storable(message)[:MESSAGE_LIMIT_CHARACTERS]}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a task's own __str__ may raise anything
        return f"{type(error).__name__} (its message cannot be shown)"


def _seconds(after: Any) -> float | None:
    """A task's own number; None, the queue's backoff, where it is none."""
    try:
        seconds = float(after)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else seconds


def _both_ends(text: str, characters: int) -> str:
    """A traceback begins with the place and ends with the error; a message of megabytes must hide neither."""
    cut = "\n...\n"
    head = (characters - len(cut)) // 2
    return text if len(text) <= characters else text[:head] + cut + text[head + len(cut) - characters :]


def _trace(error: BaseException) -> str:
    """The traceback from the task's own first frame on; our frames above it say nothing to its author."""
    try:
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        return "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # noqa: BLE001 - see _text
        return ""
