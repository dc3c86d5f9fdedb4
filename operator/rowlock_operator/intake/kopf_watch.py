"""Runs kopf as a watch, again and again: it ends on errors that it takes for fatal, and its end may hang.

Each attempt has a thread and an event loop of its own. Own thread: when kopf ends it cancels every task of
its loop that was made after its start. Own loop for every attempt: when one watch fails for good, kopf closes
the session, and another watch may wait for ever for somebody to log in again, deaf to cancellation (seen with
1.45.2). So an attempt is given a moment to end, and then its loop is abandoned with what still hangs in it.
Sightings travel to the main loop by call_soon_threadsafe.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import kopf

from rowlock_operator.api.manifest import Kind
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.cluster.pulse import Pulse
from rowlock_operator.cluster.session import open_session
from rowlock_operator.intake.kopf_settings import NoMemories, watch_only_settings
from rowlock_operator.intake.primaries import Seen, sighting

log = logging.getLogger("rowlock.intake")

FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 1.0, 30.0
END_SECONDS, STOP_SECONDS = 3.0, 10.0
STEADY_SECONDS = 60.0  # an attempt that lasted this long was a good one: the next wait is short again


class KopfWatch:
    """`deliver(seen)` is called in the main loop for every event of every kind; `wait_for_kinds` returns when
    all kinds are served.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        kinds: Sequence[Kind],
        namespaces: Sequence[str | None],
        deliver: Callable[[Seen], object],
        wait_for_kinds: Callable[[], Awaitable[None]],
        pulse: Pulse,
        settings: Callable[[random.Random | None], kopf.OperatorSettings] = watch_only_settings,
        rng: random.Random | None = None,
    ) -> None:
        self._credentials, self._kinds, self._namespaces = credentials, tuple(kinds), tuple(namespaces)
        self._deliver, self._wait_for_kinds, self._pulse = deliver, wait_for_kinds, pulse
        self._settings, self._rng = settings, rng or random.Random()
        self._attempt: _Attempt | None = None

    def begin_anew(self) -> None:
        """Lists and watches from the beginning: what kopf goes on from is of no use any more. In the loop of
        `run`.
        """
        if self._attempt is not None:
            self._attempt.end()

    async def run(self) -> None:
        """Watches until cancelled."""
        loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_SECONDS
        while True:
            # kopf looks only once, at its start, at what kinds there are: without the CRDs it would watch
            # nothing, for ever.
            await self._wait_for_kinds()
            attempt = self._attempt = _Attempt(self)
            began = loop.time()
            log.info(
                "intake_started", extra={"namespaces": ",".join(name or "*" for name in self._namespaces)}
            )
            error = await attempt.run()
            self._attempt = None
            if attempt.told_to_end:
                continue
            wait = (
                FIRST_WAIT_SECONDS
                if loop.time() - began > STEADY_SECONDS
                else min(LAST_WAIT_SECONDS, wait * 2)
            )
            log.warning("intake_broken", extra={"error": repr(error), "again_after_seconds": wait})
            await asyncio.sleep(wait * self._rng.uniform(0.75, 1.25))

    async def operate(self, stop: asyncio.Event, forward: Callable[[Seen], None]) -> None:
        """One life of kopf, in the running loop; returns soon after `stop` is set, raises soon after kopf
        gave up.
        """
        sessions = AsyncExitStack()

        async def login(**_: Any) -> kopf.AiohttpSession:
            # Our own session: token per request, a connection for each stream (however many namespaces), and
            # the pulse of every stream.
            session = open_session(
                self._credentials, connections=0, timeout_seconds=60, middlewares=(self._pulse.middleware,)
            )
            sessions.push_async_callback(session.close)
            return kopf.AiohttpSession(server=self._credentials.server, aiohttp_session=session)

        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(login)
        for kind in self._kinds:
            kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(_handler(kind, forward))
        everywhere = None in self._namespaces
        roots = await kopf.spawn_tasks(
            registry=registry,
            settings=self._settings(self._rng),
            memories=NoMemories(),
            standalone=True,
            clusterwide=everywhere,
            namespaces=() if everywhere else [name for name in self._namespaces if name],
        )
        try:
            done, _ = await asyncio.wait(
                {*roots, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest, timeout=END_SECONDS)
            await sessions.aclose()
        for task in done:
            task.result()

    def forward(self, seen: Seen) -> None:
        """Hands a sighting to whoever reconciles; in the main loop."""
        self._deliver(seen)


def _handler(kind: Kind, forward: Callable[[Seen], None]) -> Any:
    async def on_event(event: Any, **_: Any) -> None:
        """Hands over what was seen."""
        forward(sighting(kind, event["type"], event["object"]))

    return on_event


class _Attempt:
    """One thread with one loop with one kopf."""

    def __init__(self, watch: KopfWatch) -> None:
        self._watch = watch
        self._main = asyncio.get_running_loop()
        self._ended: asyncio.Future[BaseException | None] = self._main.create_future()
        self._inner: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._stopping = False
        self._to_end = asyncio.Event()

    @property
    def told_to_end(self) -> bool:
        return self._to_end.is_set()

    def end(self) -> None:
        """`run` returns soon; what it still sees is not delivered any more."""
        self._to_end.set()

    async def run(self) -> BaseException | None:
        """The error that ended it (None: it ended by itself, or was told to). Told, or cancelled: stops kopf
        first, within a bound.
        """
        # A daemon: a kopf that hangs at its end must not keep the process from ending.
        threading.Thread(target=self._thread, name="kopf", daemon=True).start()
        told = asyncio.ensure_future(self._to_end.wait())
        try:
            either: set[asyncio.Future[Any]] = {self._ended, told}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            if not self._ended.done():
                self._stop()
                await asyncio.wait([self._ended], timeout=STOP_SECONDS)
        return self._ended.result() if self._ended.done() else None

    def _thread(self) -> None:
        error: BaseException | None = None
        try:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self._operate())
            finally:
                # Not asyncio.run(): it would wait for the tasks that hang. What they say when they are
                # collected is of no use.
                loop.set_exception_handler(lambda _loop, _context: None)
                loop.close()
        except BaseException as caught:  # noqa: BLE001 - the thread's edge: whatever ended kopf, the supervisor decides
            error = caught
        self._to_main(self._end, error)

    async def _operate(self) -> None:
        stop = asyncio.Event()
        self._inner = (asyncio.get_running_loop(), stop)
        if self._stopping:
            return
        await self._watch.operate(stop, lambda seen: self._to_main(self._forward, seen))

    def _forward(self, seen: Seen) -> None:
        if not self._to_end.is_set():
            self._watch.forward(seen)

    def _stop(self) -> None:
        self._stopping = True
        if self._inner is not None:
            loop, stop = self._inner
            with suppress(RuntimeError):  # its loop is closed already
                loop.call_soon_threadsafe(stop.set)

    def _to_main(self, call: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the main loop is closed: nobody listens any more
            self._main.call_soon_threadsafe(call, value)

    def _end(self, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)
