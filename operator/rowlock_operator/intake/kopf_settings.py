"""How kopf is made to be a watch and nothing else. Each line guards against something that was measured."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import kopf

# not public: the lock file holds kopf's version, and a test this
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

SERVER_TIMEOUT_SECONDS, SERVER_TIMEOUT_JITTER_SECONDS = 600, 60


class NullDiffBase(kopf.DiffBaseStorage):
    """Stores nothing on the object. `fetch` answers {} and not None, else every object would look newly
    created to kopf.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> Any:
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:
        return {}

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        return None


class NullProgress(kopf.ProgressStorage):
    """Stores nothing on the object: the handlers of a watch have no progress."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class NoMemories(ResourceMemories):
    """Remembers nothing of an object: 2 kB each that only daemons, timers and changing handlers would
    read.
    """

    async def recall(
        self,
        raw_body: Any,
        *,
        memobase: Any = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,
    ) -> ResourceMemory:
        return await super().recall(
            raw_body, memobase=memobase, noticed_by_listing=noticed_by_listing, ephemeral=True
        )


class InfiniteJitteredBackoff:
    """Endless waits, doubling from `first` to `cap` seconds, each a quarter up or down. Iterable again and
    again: kopf iterates it anew for every request, and with a finite list it gives up after a minute of
    outage and ends the process.
    """

    def __init__(self, first: float, *, cap: float, rng: random.Random | None = None) -> None:
        self._first, self._cap, self._rng = first, cap, rng or random.Random()

    def __iter__(self) -> Iterator[float]:
        wait = self._first
        while True:
            yield wait * self._rng.uniform(0.75, 1.25)
            wait = min(self._cap, wait * 2)


def watch_only_settings(rng: random.Random | None = None) -> kopf.OperatorSettings:
    """kopf's settings for a pure watch of ten thousand objects."""
    rng = rng or random.Random()
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # peering is no lock; the Lease is
    settings.scanning.disabled = True  # no list of CRDs and namespaces, so no right to them
    settings.posting.enabled = False  # we write our own few Events
    settings.persistence.diffbase_storage = NullDiffBase()
    settings.persistence.progress_storage = NullProgress()
    settings.queueing.worker_limit = None  # a small limit is a rate of limit / idle_timeout objects a second
    settings.queueing.idle_timeout = 0.5
    settings.watching.chunk_size = 200  # an unchunked list of 10,000 objects is 20 MB in memory
    settings.watching.initial_streaming = False  # loses objects when its stream is cut (1.45.2)
    settings.watching.inactivity_timeout = 70  # silence may be a dead stream, and reopening costs little
    # Whole seconds: the API server refuses a fraction.
    settings.watching.server_timeout = SERVER_TIMEOUT_SECONDS + rng.randrange(SERVER_TIMEOUT_JITTER_SECONDS)
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = InfiniteJitteredBackoff(0.5, cap=30, rng=rng)
    settings.execution.max_workers = 4
    # kopf SIGKILLs the whole process (leader, dispatcher and all) when its own end takes longer than this,
    # and after an error its end hangs (seen with 1.45.2 on a 404 of a watch). The supervisor abandons the
    # loop instead.
    settings.process.ultimate_exiting_timeout = None
    return settings
