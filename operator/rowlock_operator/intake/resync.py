"""The sweep that finds what the watch has missed.

kopf never tells of a deletion that happened while its watch was open nowhere (measured): before it was opened
first, or between its end and its next opening. So whenever a watch was opened, the kind is listed in that
namespace: what was deleted before the list is found here, what is deleted after it comes by the watch. A
watch may be behind for reasons of its own, so all primaries are listed from time to time as well. What is
gone is dropped, what differs is fetched.

Where etcd was restored from a backup, versions go back: a watch that goes on from the version it had says
nothing until they have grown past it again, and by version everything listed looks older than what we know. A
list that contradicts what was seen before it (lower versions, an object that we saw deleted) is of another
history: all is taken in anew, whatever its version, and the watches begin anew, too.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from rowlock_operator.api.manifest import Kind, ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.replies import HistoryReplaced
from rowlock_operator.errors import RetryLater, RowlockError
from rowlock_operator.intake.primaries import Primaries, sighting

log = logging.getLogger("rowlock.intake")

INTERVAL_SECONDS, JITTER = 600.0, 0.2
RETRY_SECONDS = 5.0
GATHER_SECONDS = 0.2  # after a watch was opened: the others of the same moment come with it
Place = tuple[Kind, str | None]  # one kind in one namespace (None: in all)


@dataclass(frozen=True)
class Repaired:
    """What one sweep found: keys that changed, keys that are gone."""

    changed: tuple[ObjectKey, ...]
    gone: tuple[ObjectKey, ...]


class Resync:
    """Repairs `primaries`, which tells of every change; `on_repair(plural)` counts what the watch should have
    brought; `on_history()` is told that the watches must begin anew.
    """

    def __init__(
        self,
        client: KubeClient,
        primaries: Primaries,
        *,
        kinds: Sequence[Kind],
        namespaces: Sequence[str | None],
        on_repair: Callable[[str], None] = lambda _plural: None,
        on_history: Callable[[], None] = lambda: None,
        interval_seconds: float = INTERVAL_SECONDS,
        rng: random.Random | None = None,
    ) -> None:
        self._client, self._primaries = client, primaries
        self._places = [(kind, namespace) for kind in kinds for namespace in namespaces]
        self._on_repair, self._on_history = on_repair, on_history
        self._interval_seconds, self._rng = interval_seconds, rng or random.Random()
        self._opened: set[Place] = set()
        # to be taken from the list itself: nothing is known of them, or nothing by its version
        self._whole: set[Place] = set(self._places)
        self._woken = asyncio.Event()
        self.synced = asyncio.Event()  # set when everything was listed once

    def watch_opened(self, kind: Kind, namespace: str | None) -> None:
        """A watch was opened (again): what was deleted before that was told to nobody. In the loop of
        `run`.
        """
        self._opened.add((kind, namespace))
        self._woken.set()

    def everything(self) -> None:
        """All is to be listed now. In the loop of `run`."""
        self._opened.update(self._places)
        self._woken.set()

    async def run(self) -> None:
        """Lists everything at once and then every interval, and whatever watch was opened meanwhile, until
        cancelled; a failed sweep is repeated soon, as one of everything, and changes nothing.
        """
        loop = asyncio.get_running_loop()
        everything_at = loop.time()
        while True:
            everything = loop.time() >= everything_at
            places, self._opened = self._places if everything else [*self._opened], set()
            self._woken.clear()
            try:
                repaired = await self.sweep(places)
            except RowlockError as error:
                wait = max(
                    RETRY_SECONDS, (error.after_seconds or 0.0) if isinstance(error, RetryLater) else 0.0
                )
                log.warning("resync_failed", extra={"error": str(error), "again_after_seconds": wait})
                everything_at = loop.time()
                await asyncio.sleep(wait)
                continue
            if repaired.changed or repaired.gone:
                log.info(
                    "resync_repaired", extra={"changed": len(repaired.changed), "gone": len(repaired.gone)}
                )
            if everything:
                everything_at = loop.time() + self._interval_seconds * self._rng.uniform(
                    1 - JITTER, 1 + JITTER
                )
            with suppress(TimeoutError):
                async with asyncio.timeout_at(everything_at):
                    await self._woken.wait()
                    await asyncio.sleep(GATHER_SECONDS)

    async def sweep(self, places: Sequence[Place]) -> Repaired:
        """One sweep; raises what a list raises, then nothing more is dropped."""
        first = not self.synced.is_set()
        changed: list[ObjectKey] = []
        gone: list[ObjectKey] = []
        for place in places:
            try:
                found, lost = await self._sweep(place)
            except HistoryReplaced as why:
                log.warning("history_replaced", extra={"kind": place[0].plural, "why": str(why)})
                self._primaries.begin_history()
                self._whole.update(self._places)
                self._on_history()
                self.everything()
                found, lost = await self._sweep(place)
            changed += found
            gone += lost
        self.synced.set()
        if not first:
            for key in (*changed, *gone):
                self._on_repair(key.kind)
        return Repaired(tuple(changed), tuple(gone))

    async def wait_for_kinds(self) -> None:
        """Returns when the API server serves every kind in every namespace to us (CRDs installed, rights
        given).
        """
        told = ""
        while True:
            try:
                for kind, namespace in self._places:
                    async with aclosing(
                        self._client.list_pages(kind, namespace, metadata_only=True, page_size=1)
                    ) as pages:
                        await anext(pages)
            except RowlockError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning(
                        "kinds_not_served",
                        extra={"error": told, "remedy": "install the CRDs and the operator's Role"},
                    )
                await asyncio.sleep(RETRY_SECONDS * self._rng.uniform(0.75, 1.25))
            else:
                return

    async def _sweep(self, place: Place) -> tuple[list[ObjectKey], list[ObjectKey]]:
        """From metadata alone, and only those that differ are fetched; a whole one takes the objects from the
        list itself. Raises HistoryReplaced.
        """
        kind, namespace = place
        whole = place in self._whole
        before = self._primaries.before_list(kind.plural)
        listed: set[ObjectKey] = set()
        changed: list[ObjectKey] = []
        version = ""
        async with aclosing(self._client.list_pages(kind, namespace, metadata_only=not whole)) as pages:
            async for page in pages:
                version = page.resource_version
                if before.contradicts_list(version):
                    raise HistoryReplaced(f"a list has version {version}, {before.highest} was seen before")
                for item in page.items:
                    key, metadata = kind.key(item), item["metadata"]
                    if before.contradicts_item(key, metadata["uid"], metadata["resourceVersion"]):
                        raise HistoryReplaced(
                            f"{key} is listed at version {metadata['resourceVersion']}, a later one was seen"
                            " before"
                        )
                    listed.add(key)
                    known = self._primaries.get(key)
                    if known and (known.uid, known.resource_version) == (
                        metadata["uid"],
                        metadata["resourceVersion"],
                    ):
                        continue
                    now = item if whole else await self._client.find(kind, key.namespace, key.name)
                    if now is not None and self._primaries.observe(sighting(kind, None, now)):
                        changed.append(key)
        self._primaries.listed(kind.plural, version)
        self._whole.discard(place)
        gone: list[ObjectKey] = []
        for key, known in before.known.items():
            # Only what was known before the list and has not moved since: an object made meanwhile is not in
            # the list, and lives.
            covered = namespace is None or key.namespace == namespace
            if (
                covered
                and key not in listed
                and self._primaries.get(key) == known
                and self._primaries.drop(key, uid=known.uid)
            ):
                gone.append(key)
        return changed, gone
