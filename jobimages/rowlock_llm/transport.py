"""HTTP to one endpoint: only to addresses that were checked, no redirects, no endless answers. Import this
lazily: it loads the HTTP library.
"""

from collections.abc import Iterator
from functools import cache

import httpx2

from rowlock_jobs.task import SiteError
from rowlock_web.fetch.addresses import checked_addresses


@cache
def http_client(
    scheme: str, host: str, port: int, *, allow_private: bool, max_response_bytes: int
) -> httpx2.Client:
    """One client an endpoint for the life of the process, so that connections are kept; it knows no key.

    Never one for several hosts: behind one address a kept connection would serve a host whose certificate was
    not asked for. Proxies of the environment are not used, because behind one the address that was checked
    would not be the one that is reached.
    """
    transport = CheckedTransport(allow_private=allow_private, max_response_bytes=max_response_bytes)
    headers = {"accept-encoding": "identity"}  # a compressed answer may unpack to any size
    return httpx2.Client(transport=transport, follow_redirects=False, trust_env=False, headers=headers)


class CheckedTransport(httpx2.BaseTransport):
    """Looks the name up, checks what it found and connects to exactly that; the certificate is checked
    against the name.
    """

    def __init__(self, *, allow_private: bool, max_response_bytes: int) -> None:
        self._inner = httpx2.HTTPTransport()
        self._allow_private = allow_private
        self._max_response_bytes = max_response_bytes

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = checked_addresses(host, port, allow_private=self._allow_private)
        request.extensions = {**request.extensions, "sni_hostname": host}
        name = request.url
        for address in addresses:
            # the Host header was made of the name before and stays
            request.url = name.copy_with(host=address)
            try:
                return self._capped(self._inner.handle_request(request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == addresses[-1]:
                    raise
            finally:
                request.url = name
        raise AssertionError("a name has at least one address")

    def close(self) -> None:
        self._inner.close()

    def _capped(self, response: httpx2.Response) -> httpx2.Response:
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise SiteError(
                "LlmAnswerBroken", "the endpoint compresses its answer although it was asked not to"
            )
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _CappedStream(response.stream, self._max_response_bytes)
        return response


class _CappedStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        left = self._max_bytes
        for part in self._inner:
            left -= len(part)
            if left < 0:
                raise SiteError(
                    "LlmAnswerBroken", f"the endpoint's answer is longer than {self._max_bytes:,} bytes"
                )
            yield part

    def close(self) -> None:
        self._inner.close()
