"""Connecting to a checked address must not cost the check of the certificate's name."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowlock_web.fetch import transport
from rowlock_web.fetch.fetcher import Fetcher
from tests.integration.web.stage import failure
from tests.standins.website import Site

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl"),
]


@pytest.fixture
def tls_port(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The stand-in behind a certificate for site.example; each name leads to it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]
        + [
            "-subj",
            "/CN=site.example",
            "-addext",
            "subjectAltName=DNS:site.example",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert site._server is not None
    site._server.socket = context.wrap_socket(site._server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))],
    )
    transport._ssl_context.cache_clear()
    yield int(site._server.server_address[1])
    transport._ssl_context.cache_clear()


def test_the_certificate_is_checked_for_the_name_that_was_asked_for(
    tls_port: int, site: Site, fetch: Callable[..., Fetcher]
) -> None:
    assert fetch(f"https://site.example:{tls_port}").get("/").status == 200
    assert len(site.requests) == 1


def test_a_certificate_for_another_name_is_refused(
    tls_port: int, site: Site, fetch: Callable[..., Fetcher]
) -> None:
    assert failure(lambda: fetch(f"https://other.example:{tls_port}").get("/")).reason == "SiteAway"
    assert site.requests == []
