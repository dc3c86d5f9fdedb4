"""The addresses of a host are remembered for a while, and then looked up and checked again."""

import socket

import httpx2
import pytest

from rowlock_web.fetch.addresses import AddressRefused
from rowlock_web.fetch.transport import REMEMBERED_SECONDS, CheckedTransport
from tests.standins.website import Site

pytestmark = pytest.mark.integration


def test_a_name_that_leads_elsewhere_after_a_minute_is_checked_again_and_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real, clock = [], socket.getaddrinfo, [0.0]

    def resolve(host: str, port: int, *args: object, **more: object) -> list:
        if host != "site.example":  # an address, on its way into connect()
            return real(host, port, *args, **more)  # type: ignore[arg-type]
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    transport = CheckedTransport(
        "site.example", allow_private=True, max_bytes=100_000, clock=lambda: clock[0]
    )
    request = httpx2.Request("GET", f"http://site.example:{site.url.rpartition(':')[2]}/")
    for clock[0] in (0.0, 1.0, REMEMBERED_SECONDS):
        response = transport.handle_request(request)
        assert response.status_code == 200
        response.close()
    assert len(asked) == 1
    clock[0] = REMEMBERED_SECONDS + 1
    with pytest.raises(AddressRefused):
        transport.handle_request(request)
    assert (len(asked), len(site.requests)) == (2, 3)
    transport.close()
