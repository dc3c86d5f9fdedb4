"""The connection: to the address that was checked, under the name that was asked for."""

from functools import cache
from ssl import SSLContext

import httpx

from rowlock_web.fetch.addresses import checked_addresses


class CheckedTransport(httpx.BaseTransport):
    """Resolves a host once and connects to that answer, so that a second answer cannot lead elsewhere (DNS
    rebinding).

    Nothing is ever sent twice: another address is tried only where no connection came about.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpx.HTTPTransport(verify=_ssl_context(), retries=0)
        self._addresses: dict[str, list[str]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises AddressRefused, SiteError HostUnknown, and httpx's errors."""
        failure: httpx.TransportError | None = None
        for address in self._resolved(request.url):
            try:
                return self._inner.handle_request(_towards(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        del self._addresses[request.url.host]  # a site may have moved: ask again next time
        raise failure or httpx.ConnectError("no address", request=request)

    def close(self) -> None:
        self._inner.close()

    def _resolved(self, url: httpx.URL) -> list[str]:
        if url.host not in self._addresses:
            port = url.port or (443 if url.scheme == "https" else 80)
            self._addresses[url.host] = checked_addresses(url.host, port, allow_private=self._allow_private)
        return self._addresses[url.host]


def _towards(address: str, request: httpx.Request) -> httpx.Request:
    """The same request to an address; the Host header stays, and `sni_hostname` is the name that the
    certificate must bear.
    """
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


@cache
def _ssl_context() -> SSLContext:
    """Takes 30 ms to build; SSL_CERT_FILE names other authorities."""
    return httpx.create_ssl_context()
