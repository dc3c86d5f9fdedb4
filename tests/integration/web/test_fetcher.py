"""Every request asks first, goes where it may, and ends in a page or a named error."""

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from rowlock_jobs.task import InputError, SiteError
from rowlock_web.errors import PostUnknown, SessionExpired
from rowlock_web.fetch.addresses import AddressRefused
from rowlock_web.fetch.fetcher import Fetcher
from tests.integration.web.stage import CountingGate, Stopped, failure
from tests.services.process import free_port
from tests.standins.website import Site, running

pytestmark = pytest.mark.integration

Fetch = Callable[..., Fetcher]


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with each connection what the test says."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65_536)
                    serve(connection)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def answer(body: bytes, *headers: str) -> Callable[[socket.socket], None]:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return lambda connection: connection.sendall(head.encode() + b"\r\n\r\n" + body)


def test_the_gate_is_asked_before_each_request_also_before_each_hop_of_a_redirect(
    site: Site, gate: CountingGate, fetch: Fetch
) -> None:
    site.fault(
        canned={
            "/a/": {"status": 302, "headers": {"Location": "\\b\\"}},
            "/b/": {"status": 301, "headers": {"Location": "/"}},
        }
    )
    assert fetch().get("/a/").path == "/"
    assert [entry["path"] for entry in site.requests] == ["/a/", "/b/", "/"]
    assert gate.passed == 3


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_once_the_gate_is_closed_no_request_leaves(
    hops: int, site: Site, gate: CountingGate, fetch: Fetch
) -> None:
    site.fault(
        canned={
            "/a/": {"status": 302, "headers": {"Location": "/b/"}},
            "/b/": {"status": 302, "headers": {"Location": "/"}},
        }
    )
    gate.close_after(hops)
    with pytest.raises(Stopped):
        fetch().get("/a/")
    assert len(site.requests) == hops


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_page_behind_a_redirect_is_read(status: int, site: Site, fetch: Fetch) -> None:
    site.fault(canned={"/a/": {"status": status, "headers": {"Location": "/?x=1"}}})
    assert fetch().get("/a/").url == f"{site.url}/?x=1"


def test_five_redirects_are_followed_and_not_a_sixth(site: Site, fetch: Fetch) -> None:
    site.fault(
        canned={
            f"/{n}/": {"status": 302, "headers": {"Location": f"/{n - 1}/" if n > 1 else "/"}}
            for n in range(1, 7)
        }
    )
    assert fetch().get("/5/").path == "/"
    before = len(site.requests)
    assert failure(lambda: fetch().get("/6/")).reason == "BadRedirect"
    assert len(site.requests) - before == 6


def test_a_redirect_to_another_host_is_refused_and_the_other_host_never_asked(
    site: Site, fetch: Fetch
) -> None:
    with running() as other:
        site.fault(canned={"/a/": {"status": 302, "headers": {"Location": f"{other.url}/"}}})
        error = failure(lambda: fetch().get("/a/"))
        assert error.reason == "BadRedirect"
        assert other.url.removeprefix("http://") in str(error)
        assert other.requests == []


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:{port}", "http://localhost:{port}", "http://[::ffff:127.0.0.1]:{port}"]
)
def test_a_private_address_is_refused_before_anything_is_sent(
    base_url: str, site: Site, fetch: Fetch
) -> None:
    port = site.url.rpartition(":")[2]
    with pytest.raises(AddressRefused):
        fetch(base_url.format(port=port), allow_private=False).get("/")
    assert site.requests == []


def test_a_private_address_is_reached_where_it_is_allowed(site: Site, fetch: Fetch) -> None:
    """The twin: without the rule the request goes through."""
    assert fetch(f"http://localhost:{site.url.rpartition(':')[2]}").get("/").status == 200
    assert len(site.requests) == 1


def test_a_name_is_resolved_once_so_that_a_second_answer_cannot_lead_elsewhere(
    site: Site, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(site.url.rpartition(":")[2])
    asked, real = [], socket.getaddrinfo

    def resolve(host: str, port: int, *args: object, **more: object) -> list[tuple]:
        if host != "site.example":  # the address, on its way into connect()
            return real(host, port, *args, **more)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    fetcher = fetch(f"http://site.example:{port}")
    for _ in range(3):
        assert fetcher.get("/").status == 200
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [("7", 7, 7), ("", 60, 60), ("soon", 60, 60), ("0", 1, 1), ("99999", 3600, 3600), ("{date}", 80, 90)],
    ids=["seconds", "absent", "nonsense", "nothing", "for ever", "a date"],
)
def test_a_429_holds_everybody_for_the_time_that_it_says(
    header: str, at_least: float, at_most: float, site: Site, gate: CountingGate, fetch: Fetch
) -> None:
    value = header.format(date=format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    site.fault(canned={"/": {"status": 429, "headers": {"Retry-After": value} if value else {}}})
    error = failure(lambda: fetch().get("/"))
    assert (error.reason, error.failure_class) == ("RateLimited", "site")
    assert [error.after_seconds] == gate.held
    assert at_least <= gate.held[0] <= at_most


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, SessionExpired, "SessionExpired"),
        (403, SessionExpired, "SessionExpired"),
        (404, InputError, "NotFound"),
        (410, InputError, "NotFound"),
        (400, SiteError, "BadAnswer"),
        (500, SiteError, "SiteAway"),
        (503, SiteError, "SiteAway"),
    ],
)
def test_each_status_has_its_error(status: int, kind: type, reason: str, site: Site, fetch: Fetch) -> None:
    site.fault(canned={"/": {"status": status}})
    error = failure(lambda: fetch().get("/"))
    assert type(error) is kind
    assert error.reason == reason
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_form_that_is_answered_by_a_server_error_may_have_been_taken(
    status: int, site: Site, fetch: Fetch
) -> None:
    site.fault(canned={"/form/": {"status": status}})
    assert type(failure(lambda: fetch().post("/form/", {"a": "b"}, referer=site.url))) is PostUnknown
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_form_is_not_sent_again_to_another_address(status: int, site: Site, fetch: Fetch) -> None:
    site.fault(canned={"/form/": {"status": status, "headers": {"Location": "/other/"}}})
    failure(lambda: fetch().post("/form/", {"a": "b"}, referer=site.url))
    assert [entry["path"] for entry in site.requests] == ["/form/"]


def test_a_site_that_is_down_surely_got_no_form(fetch: Fetch) -> None:
    fetcher = fetch(f"http://127.0.0.1:{free_port()}")
    for call in (lambda: fetcher.get("/"), lambda: fetcher.post("/", {}, referer="")):
        error = failure(call)
        assert type(error) is SiteError
        assert error.reason == "SiteAway"


def test_a_name_without_an_address_surely_got_no_form(fetch: Fetch) -> None:
    error = failure(lambda: fetch("http://nowhere.invalid").post("/", {}, referer=""))
    assert type(error) is SiteError


def test_a_site_that_does_not_answer_in_time_is_away(site: Site, fetch: Fetch) -> None:
    site.fault(slow_seconds=5)
    started = time.monotonic()
    assert failure(lambda: fetch(timeout_seconds=0.3).get("/")).reason == "SiteAway"
    assert time.monotonic() - started < 4


def test_an_answer_that_only_drips_is_cut_off(fetch: Fetch) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)  # each piece is in time, the whole is not

    with raw_server(drip) as url:
        started = time.monotonic()
        assert failure(lambda: fetch(url, timeout_seconds=0.5).get()).reason == "SiteAway"
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"x" * 2000, (), "TooLarge"),
        (gzip.compress(b"x" * 200_000), ("Content-Encoding: gzip",), "TooLarge"),
        (b"no gzip", ("Content-Encoding: gzip",), "BadAnswer"),
        (b"x", ("Content-Encoding: br",), "BadAnswer"),
    ],
    ids=["plain", "packed", "broken", "not asked for"],
)
def test_an_answer_that_is_too_large_or_cannot_be_unpacked_is_refused(
    body: bytes, headers: tuple, reason: str, fetch: Fetch
) -> None:
    with raw_server(answer(body, *headers)) as url:
        assert failure(lambda: fetch(url, max_bytes=1000).get()).reason == reason


def test_a_packed_answer_is_unpacked_and_read_in_its_charset(fetch: Fetch) -> None:
    body = gzip.compress("schön".encode("latin-1"))
    with raw_server(
        answer(body, "Content-Encoding: gzip", "Content-Type: text/html; charset=iso-8859-1")
    ) as url:
        assert fetch(url).get().text == "schön"


def test_an_answer_that_breaks_off_is_an_error(fetch: Fetch) -> None:
    with raw_server(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as url:
        assert failure(lambda: fetch(url).get()).reason == "SiteAway"
        assert type(failure(lambda: fetch(url).post("", {}, referer=""))) is PostUnknown


def test_one_connection_serves_many_requests(fetch: Fetch) -> None:
    accepted = []

    def serve(connection: socket.socket) -> None:
        accepted.append(connection)
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        connection.sendall(page)
        while connection.recv(65_536):
            connection.sendall(page)

    with raw_server(serve) as url:
        fetcher = fetch(url)
        assert [fetcher.get().text for _ in range(5)] == ["ok"] * 5
        fetcher.close()
    assert len(accepted) == 1


def test_the_site_is_told_honestly_who_asks(site: Site, fetch: Fetch) -> None:
    fetch(contact="https://school.example/robots").get("/")
    agent = site.requests[0]["agent"]
    assert agent.startswith("Rowlock/")
    assert agent.endswith("(+https://school.example/robots)")


@pytest.mark.parametrize(
    "base_url", ["ftp://m.example", "m.example", "https://", "https://ada:s3cret@m.example", "http://"]
)
def test_a_base_url_that_cannot_be_meant_is_refused_without_being_quoted(
    base_url: str, gate: CountingGate
) -> None:
    with pytest.raises(InputError) as raised:
        Fetcher(base_url, gate)
    assert raised.value.reason == "BadBaseUrl"
    assert "s3cret" not in str(raised.value)


def test_the_libraries_log_no_header_even_where_everything_is_logged(
    site: Site, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        fetch().get("/accounts/login/")
    assert [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))] == []
