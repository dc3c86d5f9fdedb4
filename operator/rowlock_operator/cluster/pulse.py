"""Signs of life of watch streams that somebody else (kopf) reads over a session of ours.

A watch that dies silently looks like a watch on which nothing happens. The proof that it moves costs no
write: the server sends a bookmark every minute or two (seen on an idle kind of a fresh 1.37 server: at 120
and 180 s), and a stream that was silent for 70 s is opened again, whose accepted answer is a sign as well. A
sign counts when the reader takes it from the stream, not when it arrives, so a reader that hangs is seen too.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from rowlock_operator.api.manifest import Kind

SILENT_AFTER_SECONDS = 180.0
"""Two reopenings of a silent stream missed."""
REFUSAL_EXPLAINS_SECONDS = 90.0
"""A refusal explains silence for three retries (backoffs end at 30 s)."""


class Pulse:
    """Ages of streams by kind and namespace. Written by the reading thread, read by any other: plain floats
    in a dict.

    `on_open(kind, namespace)` is called in the reading thread whenever a stream was opened, for the first
    time or again.
    """

    def __init__(
        self,
        kinds: Iterable[Kind],
        namespaces: Iterable[str | None],
        clock: Callable[[], float] = time.monotonic,
        on_open: Callable[[Kind, str | None], None] = lambda _kind, _namespace: None,
        silent_after_seconds: float = SILENT_AFTER_SECONDS,
    ) -> None:
        self._silent_after_seconds = silent_after_seconds
        self._clock, self._on_open = clock, on_open
        places = list(namespaces)
        self._places = {kind.path(namespace): (kind, namespace) for kind in kinds for namespace in places}
        # a stream that never opens is silent since the start
        self._heard_at = dict.fromkeys(self._places, clock())
        self._refused: dict[str, tuple[float, str]] = {}

    def heard(self, path: str) -> None:
        """The stream at this URL path showed a sign of life."""
        if path in self._heard_at:
            self._heard_at[path] = self._clock()

    def opened(self, path: str) -> None:
        """The server accepted a watch at this URL path."""
        if path in self._places:
            self._on_open(*self._places[path])

    def refused(self, path: str, why: str) -> None:
        """The server (or the network) said no, aloud."""
        if path in self._heard_at:
            self._refused[path] = (self._clock(), why)

    def ages(self) -> dict[str, float]:
        """Plural -> seconds since the quietest stream of that kind showed a sign of life."""
        now, ages = self._clock(), dict.fromkeys((kind.plural for kind, _ in self._places.values()), 0.0)
        for path, (kind, _) in self._places.items():
            ages[kind.plural] = max(ages[kind.plural], now - self._heard_at[path])
        return ages

    def live(self) -> tuple[bool, str]:
        """Liveness: false when a stream has been silent too long and no refusal explains it. An API server
        that says no aloud (down, forbidden) is no reason to be restarted: a restart would only add
        CrashLoopBackOff to the outage.
        """
        for path, age in self._silent():
            at, _ = self._refused.get(path, (float("-inf"), ""))
            if self._clock() - at > REFUSAL_EXPLAINS_SECONDS:
                return False, f"the watch of {path} has been silent for {age:.0f} s"
        return True, "watches move"

    def ready(self) -> tuple[bool, str]:
        """Readiness: false when a stream has been silent too long, whatever the reason."""
        for path, age in self._silent():
            _, why = self._refused.get(path, (0.0, "no answer"))
            return False, f"the watch of {path} has been silent for {age:.0f} s ({why})"
        return True, "watches move"

    def _silent(self) -> list[tuple[str, float]]:
        now = self._clock()
        ages = ((path, now - at) for path, at in self._heard_at.items())
        return [(path, age) for path, age in ages if age > self._silent_after_seconds]

    async def middleware(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """For the session that the reader uses."""
        path = request.url.path
        try:
            response = await handler(request)
        except aiohttp.ClientConnectionError as error:
            if not isinstance(error, TimeoutError):
                self.refused(path, str(error))
            raise
        if response.status >= 400:
            self.refused(path, f"HTTP {response.status}")
            if response.status == 429:
                # The reader would believe any Retry-After, and end at one that is no number. It has a backoff
                # of its own for a lost connection.
                response.release()
                raise aiohttp.ClientConnectionError("HTTP 429, too many requests")
        else:
            self.heard(path)
            if request.url.query.get("watch") == "true":
                self.opened(path)
                response.content = _HeardReader(response.content, lambda: self.heard(path))  # type: ignore[assignment]
        return response


class _HeardReader:
    """A response's content that tells when its reader takes something from it."""

    def __init__(self, inner: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._inner, self._heard = inner, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._inner.iter_chunked(size):
            self._heard()
            yield chunk
