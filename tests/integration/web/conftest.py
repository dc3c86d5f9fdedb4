"""The stand-in site on loopback, a gate that counts, and fetchers that are closed at the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from rowlock_web.fetch.fetcher import Fetcher
from tests.integration.web.stage import CountingGate, Visitor
from tests.standins.website import Site, running


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as site:
        yield site


@pytest.fixture
def gate() -> CountingGate:
    return CountingGate()


@pytest.fixture
def fetch(site: Site, gate: CountingGate) -> Iterator[Callable[..., Fetcher]]:
    """Makes a Fetcher for the stand-in, or for another base URL."""
    with ExitStack() as stack:
        yield lambda base_url=None, cookies=None, **more: stack.enter_context(
            Fetcher(
                base_url or site.url, gate, cookies, **{"allow_private": True, "timeout_seconds": 10, **more}
            )
        )


@pytest.fixture
def visit(fetch: Callable[..., Fetcher]) -> Callable[..., Visitor]:
    """A driver with its Fetcher, logged in as one of the stand-in's logins."""
    return lambda name="ada", **more: Visitor(fetch(**more), name)
