"""The error tree of the worker side, named by what the caller does next.

RowlockError
|-- TaskError            raised by task code; each knows its failure class
|   |-- Retry            app: try again, by the queue's backoff or after a given time
|   |-- Permanent        app: no try will ever help
|   |-- InputError       input: the row itself is wrong
|   |-- SiteError        site: an outside system refused or is away
|   |   `-- NeedsReauth  site: a person has to log in again
|   |-- SoftTimeLimit    app: the soft limit passed; a last chance to tidy up
|   `-- Canceled         somebody asked this run to end, and it does
|-- StaleAttempt         this attempt is no longer ours: drop it silently, count it
|-- LeaseLost            stop everything this process holds, now
|-- FenceAway            the database did not answer: ask again later; a call that was sent may have been
                         carried out
|   `-- FenceRuled       a rule of the database (a constraint, a trigger) refuses them: somebody may change it
|-- FenceRefused         the database refuses these values: asking again changes nothing
|-- TransportAway        Redis did not answer: go on without it, try later
|-- GraceOver            the pod must end before the outcome could be recorded
`-- SettingsError        the environment of this process is wrong: say so and exit
"""


class RowlockError(Exception):
    """Root of everything this package raises on purpose."""


class TaskError(RowlockError):
    """How a task says why it failed. `after_seconds`: not before that many seconds; None = the queue's
    backoff.
    """

    failure_class = "app"
    permanent = False

    def __init__(
        self, message: str = "", *, reason: str | None = None, after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason or type(self).__name__
        self.after_seconds = after_seconds


class Retry(TaskError):
    """Try again; counts against the app budget."""

    def __init__(self, message: str = "", after_seconds: float | None = None) -> None:
        super().__init__(message, after_seconds=after_seconds)


class Permanent(TaskError):
    """The run is dead at once: no try will ever help."""

    permanent = True

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class InputError(TaskError):
    """The row itself is wrong; dead at once. `reason` is CamelCase, for example `NoText`."""

    failure_class = "input"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, reason=reason)


class SiteError(TaskError):
    """An outside system refused or is away; has a retry budget of its own."""

    failure_class = "site"

    def __init__(self, reason: str, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message, reason=reason, after_seconds=after_seconds)


class NeedsReauth(SiteError):
    """A person has to log in again: retrying would only lock the account."""

    permanent = True

    def __init__(self, message: str) -> None:
        super().__init__("NeedsReauth", message)


class SoftTimeLimit(TaskError):
    """Raised inside the task when its soft limit passes; the hard limit kills it."""


class Canceled(TaskError):
    """Raised by `run.check()` once the run was asked to end."""


class StaleAttempt(RowlockError):
    """The attempt was given to somebody else or has ended."""


class LeaseLost(RowlockError):
    """The ledger gave this runner up; what it holds is or will be somebody else's."""


class FenceAway(RowlockError):
    """The database did not answer. Whether the call was carried out is not known."""


class FenceRuled(FenceAway):
    """A constraint or a trigger refuses the values of a call; nothing was carried out."""


class FenceRefused(RowlockError):
    """The database refuses the values of a call."""


class TransportAway(RowlockError):
    """Redis did not answer."""


class GraceOver(RowlockError):
    """Time to end has come before the database answered."""


class SettingsError(RowlockError):
    """A setting is missing or wrong; the message names the variable."""
