"""The one connection of this package: to the address that was checked, under the name that was asked for,
with an answer within bounds. Sites and models go through it alike.
"""

import logging
import time
from collections.abc import Callable, Iterator

import httpx2

from rowlock_web.fetch.addresses import AddressRefused, checked_addresses
from rowlock_web.fetch.bounded import bounded
from rowlock_web.fetch.trust import trusted

REMEMBERED_SECONDS = 60.0
"""How long the addresses of a host are used before its name is looked up, and they are checked, again."""

# The libraries log addresses at INFO and headers, cookies and keys included, at DEBUG: never ours to show.
for _library in ("httpx2", "httpcore2"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class CheckedTransport(httpx2.BaseTransport):
    """Connects to one host. Its name is looked up here, and the connection goes to that very answer, so that
    a second answer cannot lead elsewhere (DNS rebinding).

    Nothing is ever sent twice: another address is tried only where no connection came about. No other host is
    served: behind one address a kept connection would be used for a name whose certificate was not asked for.
    """

    def __init__(
        self,
        host: str,
        *,
        allow_private: bool,
        max_bytes: int,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes` and `max_seconds` bound one answer as it comes over the wire (`bounded`)."""
        self._host, self._allow_private = host, allow_private
        self._max_bytes, self._max_seconds, self._clock = max_bytes, max_seconds, clock
        self._inner = httpx2.HTTPTransport(verify=trusted(), retries=0)
        self._addresses: dict[int, tuple[float, list[str]]] = {}
        """For each port when its addresses were looked up, and which they were."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises AddressRefused, SiteError HostUnknown and httpx2's errors. Reading the response's stream
        raises AnswerTooLong and AnswerTooSlow.
        """
        if request.url.host != self._host:
            raise AddressRefused(f"this connection is for {self._host!r}, not for {request.url.host!r}")
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        failure: httpx2.TransportError | None = None
        for address in self._resolved(port):
            try:
                return self._within_bounds(self._inner.handle_request(_towards(address, request)))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        del self._addresses[port]  # the host may have moved: ask again next time
        raise failure or httpx2.ConnectError("no address", request=request)

    def close(self) -> None:
        self._inner.close()

    def _resolved(self, port: int) -> list[str]:
        now = self._clock()
        looked_up, addresses = self._addresses.get(port, (now, []))
        if not addresses or now - looked_up > REMEMBERED_SECONDS:
            addresses = checked_addresses(self._host, port, allow_private=self._allow_private)
            self._addresses[port] = (now, addresses)
        return addresses

    def _within_bounds(self, response: httpx2.Response) -> httpx2.Response:
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Bounded(response.stream, self._max_bytes, self._max_seconds, self._clock)
        return response


class _Bounded(httpx2.SyncByteStream):
    def __init__(
        self,
        inner: httpx2.SyncByteStream,
        max_bytes: int,
        max_seconds: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._inner, self._max_bytes, self._max_seconds, self._clock = inner, max_bytes, max_seconds, clock

    def __iter__(self) -> Iterator[bytes]:
        return bounded(
            self._inner, max_bytes=self._max_bytes, max_seconds=self._max_seconds, clock=self._clock
        )

    def close(self) -> None:
        self._inner.close()


def _towards(address: str, request: httpx2.Request) -> httpx2.Request:
    """The same request to an address; the Host header stays, and `sni_hostname` is the name that the
    certificate must bear.
    """
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
