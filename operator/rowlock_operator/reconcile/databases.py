"""The databases in use: from a Secret's key to a running dispatcher, one for each URL, whatever the number of
queues and sources on it.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from rowlock_ledger.addresses import DATABASE_FORM, AddressMalformed, read_database_address
from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.manifest import Manifest, ObjectKey
from rowlock_operator.api.work_queue import DatabaseRef
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import SECRETS
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import Forbidden, RetryLater, RowlockError
from rowlock_operator.reconcile.objects import key_of

log = logging.getLogger("rowlock.reconcile")
SECRET_SECONDS = 10.0  # a rotated password is noticed this late
# that a look waits for a database; the second, once it has failed before
OPENING_SECONDS, REOPENING_SECONDS = 5.0, 0.5
FAILED_SECONDS = 3.0  # so long nobody asks anew what was answered just now
# a database that no WorkQueue uses any more stays open this long at most, for the outcomes of its last runs
LINGER_SECONDS = 600.0


@dataclass
class _Opening:
    """One try to open a database."""

    task: "asyncio.Task[DatabaseDispatcher]"
    until: float  # looks wait for it
    before: BaseException | None  # what the try before it came to
    left: bool = False  # somebody did not wait for it
    ended_at: float = 0.0


class Databases:
    """`make(url)` builds a dispatcher that is not started. Used by the leader only; for one event loop."""

    def __init__(
        self,
        kube: KubeClient,
        make: Callable[[str], DatabaseDispatcher],
        *,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube, self._make, self._on_replaced = kube, make, on_replaced
        self._dispatchers: dict[str, DatabaseDispatcher] = {}  # by URL
        self._users: dict[ObjectKey, str] = {}  # WorkQueue -> URL
        self._secrets: dict[tuple[str, str], tuple[float, Manifest]] = {}
        self._opening: dict[str, _Opening] = {}  # by URL
        self._unused_since: dict[str, float] = {}  # by URL

    def __iter__(self) -> Iterator[DatabaseDispatcher]:
        return iter(tuple(self._dispatchers.values()))

    def of(self, work_queue: ObjectKey) -> DatabaseDispatcher | None:
        """The dispatcher a WorkQueue was opened with."""
        return self._dispatchers.get(self._users.get(work_queue, ""))

    def named(self, work_queue: str) -> DatabaseDispatcher | None:
        """The same by `namespace/name`."""
        return self.of(key_of(WORK_QUEUES.plural, work_queue))

    async def open(self, work_queue: ObjectKey, ref: DatabaseRef) -> DatabaseDispatcher:
        """The running dispatcher of this WorkQueue's database, its ledger migrated. Raises GiveUp or
        RetryLater with the remedy.
        """
        url = await self._url(work_queue.namespace, ref)
        before = self._users.get(work_queue)
        dispatcher = self._dispatchers.get(url) or await self._opened(url)
        self._users[work_queue] = url
        if before is not None and before != url:
            await self.close_unused(at_once=before)  # it would go on with what is registered here now
            self._on_replaced()
        return dispatcher

    async def _opened(self, url: str) -> DatabaseDispatcher:
        """One try for all who want it, and none waits long for it: the others' databases answer."""
        opening, now = self._opening.get(url), time.monotonic()
        if opening is None or (opening.task.done() and now > opening.ended_at + FAILED_SECONDS):
            patience = OPENING_SECONDS if opening is None else REOPENING_SECONDS
            before = opening.task.exception() if opening is not None else None
            opening = self._opening[url] = _Opening(
                asyncio.create_task(self._open(url)), now + patience, before
            )
            opening.task.add_done_callback(partial(self._tried, url, opening))
        await asyncio.wait([opening.task], timeout=max(0.0, opening.until - now))
        if not opening.task.done():
            opening.left = True
            raise opening.before or RetryLater(
                f"database {read_database_address(url).name}: it has not answered yet"
            )
        return opening.task.result()

    async def _open(self, url: str) -> DatabaseDispatcher:
        dispatcher = self._make(url)
        try:
            applied = await dispatcher.threads.run(dispatcher.migrate)
        except BaseException:
            dispatcher.stop()
            raise
        log.info(
            "database_opened",
            extra={"database": dispatcher.pool.name, "migrated": ",".join(applied) or "nothing to do"},
        )
        dispatcher.start()
        self._dispatchers[url] = dispatcher
        return dispatcher

    def _tried(self, url: str, opening: "_Opening", task: "asyncio.Task[DatabaseDispatcher]") -> None:
        opening.ended_at = time.monotonic()
        if task.cancelled() or task.exception() is not None:
            return
        if self._opening.get(url) is opening:
            del self._opening[url]
        if opening.left:
            self._on_replaced()  # whoever did not wait for it looks again

    async def release(self, work_queue: ObjectKey) -> None:
        """The WorkQueue is gone; a database without users is closed once nothing is left to write there."""
        if self._users.pop(work_queue, None) is not None:
            await self.close_unused()

    async def close_unused(self, *, at_once: str = "") -> None:
        """Closes what no WorkQueue uses and what is finished, the one of the URL `at_once` in any case."""
        now, unused = time.monotonic(), set(self._dispatchers) - set(self._users.values())
        self._unused_since = {url: self._unused_since.get(url, now) for url in unused}
        await asyncio.gather(
            *(
                self._close_unused(url, at_once=url == at_once or now - since >= LINGER_SECONDS)
                for url, since in self._unused_since.items()
            )
        )

    async def _close_unused(self, url: str, *, at_once: bool) -> None:
        if not at_once and await self._unfinished(self._dispatchers[url]):
            return
        if url not in self._users.values() and (dispatcher := self._dispatchers.pop(url, None)) is not None:
            await _stopped(dispatcher)

    async def _unfinished(self, dispatcher: DatabaseDispatcher) -> bool:
        """Whether outcomes are written there, or will be; a database that does not answer is not waited
        for.
        """
        try:
            return await dispatcher.threads.ask(dispatcher.ledger.unfinished)
        except RowlockError:
            return False

    async def close(self) -> None:
        """Ends every duty; what was in hand is the next leader's."""
        opening, self._opening = [each.task for each in self._opening.values()], {}
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        dispatchers, self._dispatchers, self._users = list(self._dispatchers.values()), {}, {}
        await asyncio.gather(*(_stopped(dispatcher) for dispatcher in dispatchers))

    async def _secret(self, namespace: str, name: str) -> Manifest | None:
        """The Secret, read at most every few seconds however many queues use it."""
        known = self._secrets.get((namespace, name))
        if known is not None and time.monotonic() - known[0] < SECRET_SECONDS:
            return known[1]
        try:
            secret = await self._kube.find(SECRETS, namespace, name)
        except Forbidden as error:
            raise reasons.SECRET_FORBIDDEN.error(secret=f"{namespace}/{name}") from error
        if secret is not None:
            self._secrets[namespace, name] = (time.monotonic(), secret)
        return secret

    async def _url(self, namespace: str, ref: DatabaseRef) -> str:
        secret = await self._secret(namespace, ref.secret_name)
        name = f"{namespace}/{ref.secret_name}"
        if secret is None:
            remedy = f"create it with the keys {ref.key} and {ref.worker_key}"
            raise reasons.SECRET_MISSING.error(secret=name, fact="does not exist", remedy=remedy)
        data = secret.get("data") or {}
        for key in (ref.key, ref.worker_key):
            if not data.get(key):
                raise reasons.SECRET_MISSING.error(
                    secret=name, fact=f"has no key {key}", remedy="add it (a PostgreSQL URL)"
                )
            why = _unreadable(data[key])
            if why:  # the workers' address as well: their pods could only say it in their logs
                raise reasons.SECRET_MALFORMED.error(
                    fact=f"Key {key} of Secret {name} cannot be read: {why}", form=DATABASE_FORM
                )
        return _text(data[ref.key])


async def _stopped(dispatcher: DatabaseDispatcher) -> None:
    """Stops it, in a thread of its own: that may take a while."""
    thread = ThreadPoolExecutor(1)
    try:
        await asyncio.get_running_loop().run_in_executor(thread, dispatcher.stop)
    finally:
        thread.shutdown(wait=False)


def _unreadable(encoded: str) -> str:
    """Why an address cannot be read, "" where it can."""
    try:
        read_database_address(_text(encoded))
    except AddressMalformed as error:
        return error.why
    return ""


def _text(encoded: str) -> str:
    # Replaced, not refused: an error of Python's carries the bytes that it met.
    return base64.b64decode(encoded).decode(errors="replace").strip()
