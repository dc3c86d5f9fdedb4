"""The connection is for one host, and its addresses are looked up again after a while."""

import socket

import httpx2
import pytest

from rowlock_web.fetch.addresses import AddressRefused
from rowlock_web.fetch.transport import CheckedTransport


class Names:
    """A name server that counts, and answers a port where nobody listens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.asked: list[str] = []
        self._addresses = addresses
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, *more: object, **named: object) -> list:
        if host[0].isdigit():  # an address, on its way into connect()
            return self._real(host, port, *more, **named)  # type: ignore[arg-type]
        self.asked.append(host)
        address = self._addresses[min(len(self.asked), len(self._addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


def test_no_other_host_is_reached_over_the_connection_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.1")
    transport = CheckedTransport("site.example", allow_private=True, max_bytes=10)
    with pytest.raises(AddressRefused, match=r"is for 'site.example', not for 'other.example'"):
        transport.handle_request(httpx2.Request("GET", "http://other.example/"))
    assert names.asked == []


def test_an_address_that_does_not_answer_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.1")
    transport = CheckedTransport("site.example", allow_private=True, max_bytes=10)
    for _ in range(2):
        with pytest.raises(httpx2.ConnectError):
            transport.handle_request(httpx2.Request("GET", "http://site.example:1/"))
    assert len(names.asked) == 2
    transport.close()
