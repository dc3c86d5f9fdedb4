"""Whose certificates count, for sites and models alike: those of the authority in SSL_CERT_FILE, for the name
that was asked for. The authority is a company's own, made here.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rowlock_llm.client import LlmClient
from rowlock_llm.settings import LlmSettings
from rowlock_web.fetch.fetcher import Fetcher
from tests.integration.web.stage import CountingGate, failure

pytestmark = pytest.mark.integration

NAME, OTHER_NAME = "service.example", "other.example"
ANSWER = {
    "model": "m",
    "choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
}


class Service(BaseHTTPRequestHandler):
    """A site that has one page, and a model that has one answer."""

    requests: list[str]

    def do_GET(self) -> None:
        self._answer("text/html", b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("application/json", json.dumps(ANSWER).encode())

    def _answer(self, kind: str, body: bytes) -> None:
        self.requests.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the tests' output."""


class Listening(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor that trusts nobody breaks the handshake off."""


def signed(name: str, issuer: x509.Certificate | None, issuer_key: Any) -> tuple[x509.Certificate, Any]:
    """A certificate and its key: of an authority where it has no issuer, else of a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(authority, critical=False).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """The file of the company's authority; the certificate that it signed for NAME lies beside it."""
    authority, authority_key = signed("A company's own authority", None, None)
    certificate, key = signed(NAME, authority, authority_key)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    written(tmp_path / "service.pem", pem(certificate), private)
    return written(tmp_path / "authority.pem", pem(authority))


@pytest.fixture
def service(company: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Listens behind the certificate; both names lead to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(company.parent / "service.pem")
    handler = type("Handler", (Service,), {"requests": []})
    with Listening(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))],
        )
        yield server
        server.shutdown()
        thread.join()


def visit_site(url: str) -> None:
    with Fetcher(url, CountingGate(), allow_private=True, timeout_seconds=10) as fetcher:
        assert fetcher.get("/").text == "ok"


def ask_model(url: str) -> None:
    settings = LlmSettings(provider="compatible", model="m", base_url=f"{url}/v1", allow_private=True)
    assert LlmClient(settings, "key").ask([{"role": "user", "content": "?"}]).text == "ok"


ALIKE = pytest.mark.parametrize(
    ("ask", "away"), [(visit_site, "SiteAway"), (ask_model, "LlmAway")], ids=["site", "model"]
)


@ALIKE
def test_a_companys_own_authority_counts_where_ssl_cert_file_names_it(
    ask: Callable[[str], None],
    away: str,
    service: ThreadingHTTPServer,
    company: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(company))
    ask(f"https://{NAME}:{service.server_port}")
    assert len(service.RequestHandlerClass.requests) == 1  # type: ignore[attr-defined]


@ALIKE
def test_an_authority_that_nobody_named_is_not_trusted(
    ask: Callable[[str], None], away: str, service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert failure(lambda: ask(f"https://{NAME}:{service.server_port}")).reason == away
    assert service.RequestHandlerClass.requests == []  # type: ignore[attr-defined]


@ALIKE
def test_the_certificate_is_checked_for_the_name_that_was_asked_for_although_an_address_is_connected_to(
    ask: Callable[[str], None],
    away: str,
    service: ThreadingHTTPServer,
    company: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(company))
    assert failure(lambda: ask(f"https://{OTHER_NAME}:{service.server_port}")).reason == away
    assert service.RequestHandlerClass.requests == []  # type: ignore[attr-defined]
