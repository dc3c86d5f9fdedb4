"""The databases in use: from a Secret's key to a running dispatcher, one for each URL, whatever the number of queues and sources on it."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Iterator

from rowlock_operator.addresses import DATABASE_FORM, AddressMalformed, read_database_address
from rowlock_operator.api import reasons
from rowlock_operator.api.work_queue import DatabaseRef
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import SECRETS, Manifest, ObjectKey
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import Forbidden

log = logging.getLogger("rowlock.reconcile")
SECRET_SECONDS = 10.0  # a rotated password is noticed this late


class Databases:
    """`make(url)` builds a dispatcher that is not started. Used by the leader only; for one event loop."""

    def __init__(
        self, kube: KubeClient, make: Callable[[str], DatabaseDispatcher], *, on_replaced: Callable[[], None] = lambda: None
    ) -> None:
        self._kube, self._make, self._on_replaced = kube, make, on_replaced
        self._dispatchers: dict[str, DatabaseDispatcher] = {}  # by URL
        self._users: dict[ObjectKey, str] = {}  # WorkQueue -> URL
        self._secrets: dict[tuple[str, str], tuple[float, Manifest]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def __iter__(self) -> Iterator[DatabaseDispatcher]:
        return iter(tuple(self._dispatchers.values()))

    def of(self, work_queue: ObjectKey) -> DatabaseDispatcher | None:
        """The dispatcher a WorkQueue was opened with."""
        return self._dispatchers.get(self._users.get(work_queue, ""))

    async def open(self, work_queue: ObjectKey, ref: DatabaseRef) -> DatabaseDispatcher:
        """The running dispatcher of this WorkQueue's database, its ledger migrated. Raises GiveUp or RetryLater with the remedy."""
        url = await self._url(work_queue.namespace, ref)
        before = self._users.get(work_queue)
        async with self._locks.setdefault(url, asyncio.Lock()):
            if url not in self._dispatchers:
                dispatcher = self._make(url)
                try:
                    applied = await asyncio.to_thread(dispatcher.migrate)
                except BaseException:
                    dispatcher.stop()
                    raise
                log.info("database_opened", extra={"database": dispatcher.pool.name, "migrated": ",".join(applied) or "nothing to do"})
                dispatcher.start()
                self._dispatchers[url] = dispatcher
        self._users[work_queue] = url
        if before is not None and before != url:
            await self._close_unused()
            self._on_replaced()
        return self._dispatchers[url]

    async def release(self, work_queue: ObjectKey) -> None:
        """The WorkQueue is gone; a database without users is closed."""
        if self._users.pop(work_queue, None) is not None:
            await self._close_unused()

    async def _close_unused(self) -> None:
        for url in set(self._dispatchers) - set(self._users.values()):
            await asyncio.to_thread(self._dispatchers.pop(url).stop)

    async def close(self) -> None:
        """Ends every duty; what was in hand is the next leader's."""
        dispatchers, self._dispatchers, self._users = list(self._dispatchers.values()), {}, {}
        await asyncio.gather(*(asyncio.to_thread(d.stop) for d in dispatchers))

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
                raise reasons.SECRET_MISSING.error(secret=name, fact=f"has no key {key}", remedy="add it (a PostgreSQL URL)")
            why = _unreadable(data[key])
            if why:  # the workers' address as well: their pods could only say it in their logs
                raise reasons.SECRET_MALFORMED.error(fact=f"Key {key} of Secret {name} cannot be read: {why}", form=DATABASE_FORM)
        return _text(data[ref.key])


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
