"""The error tree of the operator, named by what the caller does next.

RowlockError
|-- RetryLater(after_seconds)    try the same again, later
|   `-- ApiUnavailable           the API server did not answer, or asked for patience
|-- GiveUp(reason)               no repetition helps before somebody mends something; say so in a condition
|   |-- InvalidSpec(field, why)  the user must change a field
|   `-- Forbidden                a right is missing; the sentence names verb and resource
|-- NotFound                     the object is not there
|-- Conflict                     somebody else was faster; look again
|   `-- AlreadyExists            the name is taken
`-- LeaseLost                    stop now
"""


class RowlockError(Exception):
    """Every error of ours; the text is a sentence: which object, what failed, what to do."""


class RetryLater(RowlockError):
    """The same call may succeed later."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class ApiUnavailable(RetryLater):
    """The Kubernetes API did not answer, or answered 429 or 5xx."""


class GiveUp(RowlockError):
    """No repetition helps before somebody mends something; `reason` (CamelCase, from api/reasons.py) goes
    into a condition.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidSpec(GiveUp):
    """The user must change `field`; `why` is a sentence that says to what."""

    def __init__(self, field: str, why: str, reason: str = "InvalidSpec") -> None:
        super().__init__(f"{field}: {why}", reason)
        self.field = field
        self.why = why


class Forbidden(GiveUp):
    """The API refused us; the sentence names the verb and resource that the Role lacks."""

    def __init__(self, message: str, reason: str = "Forbidden") -> None:
        super().__init__(message, reason)


class NotFound(RowlockError):
    """The object does not exist (any more)."""


class Conflict(RowlockError):
    """Somebody else changed or created the object first."""


class AlreadyExists(Conflict):
    """An object of that name is there."""


class LeaseLost(RowlockError):
    """We no longer lead: stop writing at once."""
