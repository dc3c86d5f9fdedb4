"""The embedded Redis's rendered arguments and configuration, run for real."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.chart.rendering import Document, containers, pick, render_case
from tests.services.process import Server, find_program, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def rendered() -> tuple[Document, dict[str, str]]:
    documents = render_case("default")
    container = dict(containers(documents))["Deployment/rowlock-redis/redis"]
    secret = pick(documents, "Secret", "rowlock-redis")["data"]
    return container, {key: base64.b64decode(value).decode() for key, value in secret.items()}


@pytest.fixture
def port(rendered: tuple[Document, dict[str, str]], tmp_path: Path) -> Iterator[int]:
    """A Redis with the pod's own command line; only the port, the address and the two folders are the
    test's.
    """
    container, secret = rendered
    (tmp_path / "redis.conf").write_text(secret["redis.conf"])
    places = {
        "/etc/rowlock-redis/redis.conf": str(tmp_path / "redis.conf"),
        "/data": str(tmp_path),
        "*": "127.0.0.1",
    }
    port = free_port()
    command = [
        find_program("redis-server"),
        *(places.get(word, word) for word in container["args"][1:]),
        "--port",
        str(port),
    ]

    def answers() -> bool:
        try:
            redis.Redis(port=port).ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        raise AssertionError("this Redis lets anybody in")

    server = Server(command, tmp_path / "log")
    server.start(answers, 20)
    yield port
    server.stop()


def test_redis_lets_in_only_who_has_the_password(
    rendered: tuple[Document, dict[str, str]], port: int
) -> None:
    _, secret = rendered
    url = secret["url"].replace("rowlock-redis.demo.svc:6379", f"127.0.0.1:{port}")
    client = redis.Redis.from_url(url)
    assert client.ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).ping()


def test_redis_refuses_writes_when_full_and_never_drops_keys(
    rendered: tuple[Document, dict[str, str]], port: int
) -> None:
    settings = redis.Redis(port=port, password=rendered[1]["password"], decode_responses=True).config_get(
        "max*", "save"
    )
    assert (settings["maxmemory-policy"], settings["maxmemory"], settings["save"]) == (
        "noeviction",
        str(384 * 1024**2),
        "",
    )
