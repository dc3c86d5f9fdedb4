"""What became of one attempt, in the words of the ledger's finish fence. Pure: the ledger alone decides
between retry and dead.
"""

import json
import math
import traceback
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from rowlock_jobs.as_json import NotJson, as_json
from rowlock_jobs.errors import Canceled, TaskError

OutcomeKind = Literal["succeeded", "failed", "canceled", "unknown"]
FailureClass = Literal["infra", "app", "site", "input"]

_KINDS, _CLASSES = frozenset(get_args(OutcomeKind)), frozenset(get_args(FailureClass))

RESULT_LIMIT_BYTES = 1_000_000
MESSAGE_LIMIT_CHARACTERS = 1_000
TRACEBACK_LIMIT_CHARACTERS = 8_000
LONGEST_AFTER_SECONDS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result` and `failure` are JSON text, ready for the ledger; `failure_class` and `reason` are for logs
    and Redis (no user data).

    A success has a reason where a remark stands in place of its result.
    """

    kind: OutcomeKind
    result: str | None = None
    failure: str | None = None
    failure_class: str = ""
    reason: str = ""


def succeeded(result: Any) -> Outcome:
    """The outcome of a task that returned. Its work is done, whatever it returned: a remark stands in place
    of a result that cannot be kept.
    """
    if result is None:
        return Outcome("succeeded")
    try:
        text = as_json(result)
    except NotJson as error:
        return without_result(f"Result{error.reason}", f"the task's return value: {error}")
    except MemoryError:
        return without_result(
            "ResultTooLarge", "the memory did not suffice for the JSON of the task's return value"
        )
    except BaseException as error:  # noqa: BLE001 - methods of the task's own classes may raise anything
        return without_result(
            "ResultNotJson", f"the task's return value is not JSON: {type(error).__name__}: {_text(error)}"
        )
    # JSON text is ASCII here, so characters are bytes.
    if len(text) > RESULT_LIMIT_BYTES:
        message = (
            f"the result has {len(text)} bytes of JSON, {RESULT_LIMIT_BYTES} are allowed; store it elsewhere"
            " and return its place"
        )
        return without_result("ResultTooLarge", message)
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
    return Outcome(
        "failed", failure=json.dumps(failure), failure_class=failure_class, reason=failure["reason"]
    )


def canceled(message: str) -> Outcome:
    """The run was asked to end and did."""
    return Outcome(
        "canceled",
        failure=json.dumps(_failure("app", "Canceled", message)),
        failure_class="app",
        reason="Canceled",
    )


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


def in_ascii(outcome: Outcome) -> Outcome | None:
    """The same failure with \\uXXXX in place of characters that a database in another encoding may not have;
    None where nothing changes.
    """
    if outcome.failure is None or "\\u" not in outcome.failure:
        return None
    failure = {
        key: _ascii(value) if isinstance(value, str) else value
        for key, value in json.loads(outcome.failure).items()
    }
    return replace(outcome, failure=json.dumps(failure))


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def with_note(outcome: Outcome, error: str) -> Outcome:
    """What is recorded in place of an outcome whose values the ledger cannot store: the same verdict, without
    them.
    """
    if outcome.kind == "succeeded":
        return without_result("ResultNotStorable", f"PostgreSQL cannot store the result: {_ascii(error)}")
    failure_class = outcome.failure_class if outcome.failure_class in _CLASSES else "app"
    failure = _failure(
        failure_class,
        _ascii(outcome.reason or "Failed"),
        f"PostgreSQL cannot store what is known of this failure: {_ascii(error)}",
    )
    if json.loads(outcome.failure or "{}").get("permanent") is True:
        failure["permanent"] = True
    return replace(outcome, result=None, failure=json.dumps(failure))


def without_result(reason: str, message: str) -> Outcome:
    """The task has done its work; a remark stands in place of a result that cannot be kept."""
    remark = {"remark": storable(reason)[:200], "message": storable(message)[:MESSAGE_LIMIT_CHARACTERS]}
    return Outcome("succeeded", result=json.dumps(remark), reason=remark["remark"])


def storable(text: str) -> str:
    """Text that PostgreSQL can hold: without NUL characters and lone surrogates."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def read_outcome(
    kind: str, result: str | None, failure: str | None, failure_class: str, reason: str
) -> Outcome | None:
    """An outcome that another process wrote down, or None where it is none of ours: nothing of it may upset
    whoever records it.
    """
    if not (_is_plain(result) and _is_plain(failure) and _is_plain(failure_class) and _is_plain(reason)):
        return None
    if kind == "succeeded":
        fits = failure is None and (result is None or len(result) <= RESULT_LIMIT_BYTES)
        return Outcome("succeeded", result=result, reason=reason[:200]) if fits else None
    if kind not in _KINDS or result is not None or not _is_failure(failure):
        return None
    return Outcome(kind, failure=failure, failure_class=failure_class[:200], reason=reason[:200])  # type: ignore[arg-type]


def _is_plain(text: str | None) -> bool:
    """Whether a text can be sent anywhere: no NUL, no half of a surrogate pair."""
    return not text or ("\x00" not in text and (text.isascii() or storable(text) == text))


def _is_failure(failure: str | None) -> bool:
    try:
        found = json.loads(failure or "")
    except (ValueError, RecursionError):
        return False
    if (
        not isinstance(found, dict)
        or found.get("class") not in get_args(FailureClass)
        or not isinstance(found.get("permanent", False), bool)
    ):
        return False
    after = found.get("after_seconds", 0.0)
    return (
        isinstance(after, int | float)
        and not isinstance(after, bool)
        and 0.0 <= after <= LONGEST_AFTER_SECONDS
    )


def _failure(failure_class: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "class": failure_class,
        "reason": storable(reason)[:200],
        "message": storable(message)[:MESSAGE_LIMIT_CHARACTERS],
    }


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
