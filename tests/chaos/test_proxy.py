"""The network that can be cut: what was sent into a black hole arrives late, a broken connection is told at
once.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Network


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a service that answers with what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    while data := connection.recv(100):
                        connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def network(echo: int) -> Iterator[Network]:
    made = Network()
    made.add("echo", echo)
    yield made
    made.close()


def connected(network: Network) -> socket.socket:
    return socket.create_connection(("127.0.0.1", network.proxies["echo"].port), timeout=5)


def test_what_is_sent_into_a_black_hole_arrives_when_it_is_healed(network: Network) -> None:
    with connected(network) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        network.proxies["echo"].cut(silent=True)
        client.sendall(b"late")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(5)
        network.heal()
        assert client.recv(100) == b"late"


def test_a_cut_breaks_connections_and_new_ones_until_it_is_healed(network: Network) -> None:
    with connected(network) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        network.proxies["echo"].cut(silent=False)
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    # The reset comes when it comes: while the client connects, or after.
    with pytest.raises(ConnectionResetError), connected(network) as refused:
        refused.recv(100)
    network.heal()
    with connected(network) as again:
        again.sendall(b"after")
        assert again.recv(100) == b"after"
