"""What the client raises, named by what the caller does next.

ClientError
|-- AddressUnusable   correct the address (or the file that holds it)
|-- Unavailable       the database does not answer: try again later
|-- LedgerMissing     it answers, and holds no ledger of this version
|-- NotAllowed        use a login with more rights
|-- NotFound          no such run, queue, source, process or comment
|-- Ambiguous         say more: there are several
|-- Refused           it cannot be done as things are; the sentence says what can
`-- TimedOut          it is not over yet; what was asked for stays asked for
"""


class ClientError(Exception):
    """The text is a sentence that names the object, what failed, and the remedy."""


class AddressUnusable(ClientError):
    """The address of the database cannot be read. No part of it is in the text."""


class Unavailable(ClientError):
    """The database does not answer."""


class LedgerMissing(ClientError):
    """The database answers but holds no ledger of this version."""


class NotAllowed(ClientError):
    """This login lacks a right."""


class NotFound(ClientError):
    """What was named is not there; the text says what is."""


class Ambiguous(ClientError):
    """More than one is meant; the text says which."""


class Refused(ClientError):
    """The database, or the state of things, does not allow it."""


class TimedOut(ClientError):
    """Waiting ended before what was waited for. `state`: how it stood then."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state
