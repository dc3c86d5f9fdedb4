"""The intake as one service: primaries by watch and resync, keys out."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kopf import OperatorSettings

from rowlock_operator.api.manifest import Kind, ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.pulse import SILENT_AFTER_SECONDS, Pulse
from rowlock_operator.intake.kopf_settings import watch_only_settings
from rowlock_operator.intake.kopf_watch import KopfWatch
from rowlock_operator.intake.primaries import Primaries
from rowlock_operator.intake.resync import INTERVAL_SECONDS, Resync


@dataclass(frozen=True)
class WatchSettings:
    """How the watches are kept, and when one counts as dead."""

    kopf: Callable[[random.Random | None], OperatorSettings] = watch_only_settings
    silent_after_seconds: float = SILENT_AFTER_SECONDS


class PrimaryWatcher:
    """Follows the users' objects in some namespaces (None: all). `add(key)` is called for every object that
    is new, changed or gone.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        kinds: Sequence[Kind],
        namespaces: Sequence[str | None],
        add: Callable[[ObjectKey], None],
        on_repair: Callable[[str], None] = lambda _plural: None,
        resync_seconds: float = INTERVAL_SECONDS,
        rng: random.Random | None = None,
        settings: WatchSettings | None = None,
    ) -> None:
        settings = settings or WatchSettings()
        self.primaries = Primaries(on_news=add)
        self.pulse = Pulse(
            kinds,
            namespaces,
            on_open=self._watch_opened,
            silent_after_seconds=settings.silent_after_seconds,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resync = Resync(
            client,
            self.primaries,
            kinds=kinds,
            namespaces=namespaces,
            on_repair=on_repair,
            on_history=self._begin_anew,
            interval_seconds=resync_seconds,
            rng=rng,
        )
        self.primaries.on_contradiction = self._resync.everything
        self._watch = KopfWatch(
            client.credentials,
            kinds=kinds,
            namespaces=namespaces,
            deliver=self.primaries.observe,
            wait_for_kinds=self._resync.wait_for_kinds,
            pulse=self.pulse,
            settings=settings.kopf,
            rng=rng,
        )

    async def run(self) -> None:
        """Watches and sweeps until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run(), name="kopf watch")
            group.create_task(self._resync.run(), name="resync")

    async def synced(self) -> None:
        """Returns when all primaries were listed once."""
        await self._resync.synced.wait()

    def ready(self) -> tuple[bool, str]:
        """Readiness probe."""
        if not self._resync.synced.is_set():
            return False, "the first list of our kinds has not succeeded yet"
        return self.pulse.ready()

    def live(self) -> tuple[bool, str]:
        """Liveness probe: the watches prove that they move."""
        return self.pulse.live()

    def _begin_anew(self) -> None:
        self._watch.begin_anew()

    def _watch_opened(self, kind: Kind, namespace: str | None) -> None:
        """From the thread that reads the watches."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: nobody reconciles any more
                self._loop.call_soon_threadsafe(self._resync.watch_opened, kind, namespace)
