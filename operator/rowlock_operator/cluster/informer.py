"""Keeps the compacted state of many children, by list and watch.

Who is authoritative: the API server. The informer holds only what `compact` returns, and tells by key that
something changed. A deletion that happened while no watch was open is found by the sweep after the next list
(mark and sweep), never lost. Versions only rise, until etcd is restored from a backup. A watch that went on
from a version of the history before would say nothing until they have grown past it again: so before one is
opened again, the present version is asked for, and a lower one means a new list.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rowlock_operator.api.manifest import Kind, Manifest, ObjectKey
from rowlock_operator.cluster.client import KubeClient, WatchEvent
from rowlock_operator.cluster.replies import HistoryReplaced, WatchExpired
from rowlock_operator.errors import RetryLater, RowlockError

log = logging.getLogger("rowlock.cluster")
V = TypeVar("V")

BACKOFF_FIRST_SECONDS, BACKOFF_LAST_SECONDS = 0.5, 30.0


@dataclass
class Stream:
    """How far one namespace (None: all of them) was read."""

    namespace: str | None
    resource_version: str = ""
    failures: int = 0
    listed: bool = False
    heard_at: float = field(default_factory=time.monotonic)

    def hear(self) -> None:
        self.heard_at, self.failures = time.monotonic(), 0

    def check(self, version: str) -> None:
        """Raises HistoryReplaced where the server's version is lower than what was read before."""
        if (
            version.isdecimal()
            and self.resource_version.isdecimal()
            and int(version) < int(self.resource_version)
        ):
            raise HistoryReplaced(f"version {version} after {self.resource_version}")

    def covers(self, key: ObjectKey) -> bool:
        return self.namespace is None or self.namespace == key.namespace


class Informer(Generic[V]):
    """Children of one kind with one label selector, in some namespaces (None: in all).

    `compact` maps an object to the few fields somebody compares (never to None);
    `on_change(key)` is called when that value appears, differs or vanishes."""

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        *,
        namespaces: Sequence[str | None],
        label_selector: str,
        compact: Callable[[Manifest], V],
        on_change: Callable[[ObjectKey], None],
        rng: random.Random | None = None,
    ) -> None:
        self.kind = kind
        self._client, self._selector = client, label_selector
        self._compact, self._on_change = compact, on_change
        self._rng = rng or random.Random()
        self._values: dict[ObjectKey, V] = {}
        self._streams = [Stream(namespace) for namespace in namespaces]
        self.synced = asyncio.Event()

    def get(self, key: ObjectKey) -> V | None:
        return self._values.get(key)

    def items(self) -> Iterator[tuple[ObjectKey, V]]:
        return iter(tuple(self._values.items()))

    def __len__(self) -> int:
        return len(self._values)

    def silent_seconds(self) -> float:
        """How long the quietest of our streams has said nothing; a healthy one speaks at least every 70 s
        (bookmark or reopening).
        """
        return time.monotonic() - min(stream.heard_at for stream in self._streams)

    async def run(self) -> None:
        """Follows the children until cancelled; API errors are waited out."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(
                    self._follow(stream), name=f"informer {self.kind.plural} {stream.namespace or '*'}"
                )

    async def _follow(self, stream: "Stream") -> None:
        while True:
            try:
                if stream.resource_version:
                    stream.check(await self._client.present_version(self.kind, stream.namespace))
                else:
                    stream.resource_version = await self._list(stream)
                await self._watch(stream)
            except WatchExpired:
                stream.resource_version = ""
            except HistoryReplaced as why:
                stream.resource_version = ""
                log.warning("history_replaced", extra={"kind": self.kind.plural, "why": str(why)})
            except RowlockError as error:
                stream.failures += 1
                # A stream refused twice may come from a server with another history: look at everything
                # again.
                if stream.failures > 1:
                    stream.resource_version = ""
                wait = self._wait_seconds(stream.failures, error)
                log.warning(
                    "watch_broken",
                    extra={
                        "kind": self.kind.plural,
                        "error": str(error),
                        "again_after_seconds": round(wait, 1),
                    },
                )
                await asyncio.sleep(wait)

    def _wait_seconds(self, failures: int, error: RowlockError) -> float:
        asked = error.after_seconds if isinstance(error, RetryLater) else None
        backoff = min(
            BACKOFF_LAST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 10)
        ) * self._rng.uniform(0.75, 1.25)
        return max(asked or 0.0, backoff)

    async def _list(self, stream: "Stream") -> str:
        """Marks what is there, sweeps what is not; returns the list's resource version."""
        seen: set[ObjectKey] = set()
        version = ""
        async with aclosing(
            self._client.list_pages(self.kind, stream.namespace, label_selector=self._selector)
        ) as pages:
            async for page in pages:
                version = page.resource_version
                seen.update(self._put(item) for item in page.items)
                stream.hear()
        for key in [key for key in self._values if stream.covers(key) and key not in seen]:
            self._drop(key)
        stream.listed = True
        if all(each.listed for each in self._streams):
            self.synced.set()
        return version

    async def _watch(self, stream: "Stream") -> None:
        events = self._client.watch(
            self.kind,
            stream.namespace,
            resource_version=stream.resource_version,
            label_selector=self._selector,
            on_open=stream.hear,
        )
        async with aclosing(events):
            async for event in events:
                stream.hear()
                stream.check(event.resource_version)
                self._take(event)
                stream.resource_version = event.resource_version

    def _take(self, event: WatchEvent) -> None:
        if event.type in ("ADDED", "MODIFIED"):
            self._put(event.object)
        elif event.type == "DELETED":
            self._drop(self.kind.key(event.object))

    def _put(self, manifest: Manifest) -> ObjectKey:
        key, value = self.kind.key(manifest), self._compact(manifest)
        if key not in self._values or self._values[key] != value:
            self._values[key] = value
            self._on_change(key)
        return key

    def _drop(self, key: ObjectKey) -> None:
        if self._values.pop(key, None) is not None:
            self._on_change(key)
