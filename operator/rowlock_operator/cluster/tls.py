"""TLS towards the API server from files that are rotated: each new connection is made with what they hold
then.

A cluster's CA and a client's certificate are replaced while we run. Open connections go on; the next
handshake reads the files again. What cannot be read (gone, half written, a key that does not fit its
certificate yet) changes nothing: the last one that was whole stays in use.
"""

import logging
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rowlock_operator.errors import GiveUp

log = logging.getLogger("rowlock.cluster")
BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


@dataclass(frozen=True)
class TlsMaterial:
    """What a context is made of, as PEM; `authorities` None: those of the system. Never shown: `chain` holds
    a key."""

    authorities: bytes | None
    chain: bytes | None = None
    verify: bool = True

    def __repr__(self) -> str:
        return "TlsMaterial()"

    def context(self) -> ssl.SSLContext:
        """Raises ValueError or ssl.SSLError where it is not whole."""
        if self.authorities is None:
            made = ssl.create_default_context()
        elif not self.authorities.strip():
            raise ValueError("the file of authorities is empty")
        elif self.authorities.count(BEGIN) != self.authorities.count(END):
            raise ValueError("the file of authorities ends within a certificate")
        else:
            # What stands between the certificates is for people, in any encoding.
            made = ssl.create_default_context(cadata=self.authorities.decode("ascii", errors="ignore"))
        if not self.verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if self.chain is not None:
            # The ssl module loads a chain only from a file: one of mode 0600, gone at the end of this block.
            with tempfile.NamedTemporaryFile() as chain:
                chain.write(self.chain)
                chain.flush()
                made.load_cert_chain(chain.name)
        return made


class RereadContext(ssl.SSLContext):
    """A client's context that is made anew, before a handshake, where `read()` answers something else than
    before. Used from several threads."""

    def __new__(cls, read: Callable[[], TlsMaterial]) -> "RereadContext":
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, read: Callable[[], TlsMaterial]) -> None:
        """Raises what `read` raises, or GiveUp where what it answers is not whole."""
        material = read()
        try:
            self._made = (material, material.context())
        except (OSError, ValueError) as error:
            raise GiveUp(
                f"cannot use the certificates of the API server: {_why(error)}", "NoCredentials"
            ) from error
        self._read, self._told = read, ""

    def anew(self) -> "RereadContext":
        """Another one of the same files. A pool of connections takes it for another server, so that no
        connection which was made before is used."""
        other = RereadContext.__new__(RereadContext, self._read)
        other._made, other._read, other._told = self._made, self._read, self._told
        return other

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """As of every context; asyncio calls it for each connection."""
        return self._present().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As of every context."""
        return self._present().wrap_socket(*arguments, **options)

    def _present(self) -> ssl.SSLContext:
        try:
            material = self._read()
            if material != self._made[0]:
                self._made = (material, material.context())
                log.info("certificates_read_again")
            self._told = ""
        except (OSError, ValueError, GiveUp) as error:
            if (why := _why(error)) != self._told:
                self._told = why
                remedy = (
                    "the last ones that were whole stay in use; the files are read again for each connection"
                )
                log.warning("certificates_unreadable", extra={"error": why, "remedy": remedy})
        return self._made[1]


def _why(error: Exception) -> str:
    # The reason of OpenSSL, or the system's: never the bytes.
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no certificate in it").lower().replace("_", " ")
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return str(error)


def tls_refused(error: BaseException | None) -> bool:
    """Whether a connection failed because one side does not accept the other's certificate (or its TLS): no
    outage, which looks like an end of the stream."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        for each in (error, inner):
            if isinstance(each, ssl.SSLError) and not isinstance(
                each, ssl.SSLEOFError | ssl.SSLZeroReturnError
            ):
                return True
        error = error.__cause__ or error.__context__
    return False
