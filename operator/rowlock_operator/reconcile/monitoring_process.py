"""One look at one MonitoringProcess: write it to the database, start or stop it, report; and the second hand
that ends what is over.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import MONITORING_PROCESSES, ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.decide.monitoring import (
    PER_OWNER,
    QUEUES,
    SOURCES,
    Action,
    build_document,
    decide_action,
)
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import GiveUp, RetryLater, RowlockError
from rowlock_operator.observed.monitoring import ProcessObservation, ProcessRow
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.reconcile.controller import Controller, Shared
from rowlock_operator.reconcile.login_secrets import LoginSecrets
from rowlock_operator.reconcile.objects import Primary, manifest_of
from rowlock_operator.rows.monitoring import MonitoringRows
from rowlock_operator.rows.vault import Vault
from rowlock_operator.status.monitoring_processes import fold_monitoring_process_status

LOOK_AGAIN_SECONDS, TROUBLE_SECONDS = 30.0, 5.0
SECRETS_SECONDS = 20.0  # a changed password is noticed this late
TICK_SECONDS, GONE_SECONDS = 1.0, 5.0  # durations are kept to the second; a deletion that was missed, to five


@dataclass(frozen=True, slots=True)
class _Written:
    """What was written of a process, and where."""

    uid: str
    dispatcher: DatabaseDispatcher
    spec: str
    """Digest of the spec."""
    secrets: str
    """Digest of the versions of all Secrets and of the key that encrypts them."""
    at: float
    """By the monotonic clock, in seconds."""


class MonitoringProcessController(Controller):
    """Level-based, as all reconcilers: what it remembers only saves work."""

    def __init__(self, shared: Shared, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._objects, self._router = shared.objects, shared.router
        self._databases, self._reporter = shared.databases, shared.reporter
        self._secrets = LoginSecrets(shared.kube)
        self._vault = Vault(Path(shared.settings.stores.encryption_keys_file))
        self._now = now
        self._rows: dict[DatabaseDispatcher, MonitoringRows] = {}
        self._written: dict[ObjectKey, _Written] = {}
        self._shown: dict[str, ProcessRow] = {}

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Returns when to look again, in seconds."""
        primary = self._objects.get(key)
        if primary is None or primary.deletion_timestamp:
            await self._forget(key)
            return None
        if key in self._written and self._written[key].uid != primary.uid:
            await self._forget(key)  # deleted and made again while nobody looked
        process = MonitoringProcess.parse(manifest_of(MONITORING_PROCESSES, key, primary))
        troubles: list[Trouble] = []
        row: ProcessRow | None = None
        try:
            dispatcher = self._dispatcher(key.namespace)
            rows = self._rows_of(dispatcher)
            await dispatcher.threads.ask(rows.check_installed)
            row = await self._row(dispatcher, process)
            if row is not None and process.spec.state == "Stopped" and row.alive:
                # Before anything that may fail: a stop needs neither its Secrets nor its workers.
                await dispatcher.threads.ask(
                    rows.stop, process.metadata.uid, status="stopped", reason="Stopped"
                )
                row = await self._row(dispatcher, process)
            await self._write(key, process)
            row = row or await self._row(dispatcher, process)
            self._check_pipeline(key)
            if await self._act(dispatcher, process, row, troubles):
                row = await self._row(dispatcher, process)
        except GiveUp as error:
            troubles.append(Trouble(reason=error.reason, message=str(error)))
        except RetryLater as error:
            troubles.append(trouble(reasons.DATABASE_UNREACHABLE, why=str(error)))
        if row is not None:
            self._shown[process.metadata.uid] = row
        await self._reporter.report(MONITORING_PROCESSES, key, primary, self._status(process, row, troubles))
        return TROUBLE_SECONDS if troubles else LOOK_AGAIN_SECONDS

    async def _act(
        self,
        dispatcher: DatabaseDispatcher,
        process: MonitoringProcess,
        row: ProcessRow | None,
        troubles: list[Trouble],
    ) -> bool:
        """Whether something was asked for."""
        if decide_action(process, row) is not Action.START:
            return False
        refused = await dispatcher.threads.ask(
            self._rows_of(dispatcher).start, process.metadata.uid, per_owner=PER_OWNER
        )
        if refused is not None:
            troubles.append(
                trouble(
                    reasons.TOO_MANY_RUNNING,
                    owner=process.spec.owner or "Everybody without an owner",
                    limit=PER_OWNER,
                )
            )
        return refused is None

    def _status(
        self, process: MonitoringProcess, row: ProcessRow | None, troubles: list[Trouble]
    ) -> dict[str, object]:
        spec = process.spec
        acted = row is not None and row.alive == (spec.state == "Running")
        observation = ProcessObservation(
            now=self._now(),
            row=row,
            troubles=tuple(troubles),
            acted_on_state=spec.state if acted else None,
            acted_on_request=spec.start_request
            if spec.state == "Running"
            else process.status.last_start_request,
        )
        return fold_monitoring_process_status(process, observation)

    def _rows_of(self, dispatcher: DatabaseDispatcher) -> MonitoringRows:
        return self._rows.setdefault(dispatcher, MonitoringRows(dispatcher.reconciler_pool))

    def _dispatcher(self, namespace: str) -> DatabaseDispatcher:
        queue = ObjectKey(WORK_QUEUES.plural, namespace, QUEUES[0])
        self._queue(queue)
        dispatcher = self._databases.of(queue)
        if dispatcher is None:
            raise RetryLater(
                f"WorkQueue {queue.name} has not reached its database yet: see its condition Ready"
            )
        return dispatcher

    def _queue(self, key: ObjectKey) -> Primary:
        """Raises GiveUp (NoWorker) where there is no such WorkQueue."""
        found: Primary | None = self._objects.get(key)
        if found is None:
            raise reasons.NO_WORKER.error(
                queue=key.name,
                why="it does not exist in this namespace. Enable domain.monitoring in the chart.",
            )
        return found

    async def _row(self, dispatcher: DatabaseDispatcher, process: MonitoringProcess) -> ProcessRow | None:
        found = await dispatcher.threads.ask(self._rows_of(dispatcher).status, [process.metadata.uid])
        return found.get(process.metadata.uid)

    async def _write(self, key: ObjectKey, process: MonitoringProcess) -> None:
        """The process as asked for into the database, where it or one of its Secrets changed."""
        dispatcher = self._dispatcher(key.namespace)
        # Not its generation: where etcd was restored from a backup, the same one may say something else.
        spec = hashlib.sha256(process.spec.model_dump_json().encode()).hexdigest()
        uid, known = process.metadata.uid, self._written.get(key)
        if known is not None and (known.uid, known.dispatcher, known.spec) != (uid, dispatcher, spec):
            known = None
        if known is not None and time.monotonic() - known.at < SECRETS_SECONDS:
            return
        logins, api_key, versions = await self._secrets.read(process)
        version = hashlib.sha256("\n".join((self._vault.key, *versions)).encode()).hexdigest()
        if known is None or known.secrets != version:
            document = build_document(process, secrets=logins, api_key=api_key, encrypt=self._vault.encrypt)
            await dispatcher.threads.ask(self._rows_of(dispatcher).apply, document)
        self._written[key] = _Written(uid, dispatcher, spec, version, time.monotonic())

    def _check_pipeline(self, key: ObjectKey) -> None:
        """Raises GiveUp where no worker could serve it: a start that waits in silence is the old system's."""
        for name in QUEUES:
            queue = self._queue(ObjectKey(WORK_QUEUES.plural, key.namespace, name))
            ready = next((c for c in queue.status.get("conditions") or () if c.get("type") == "Ready"), None)
            if ready is not None and ready.get("status") == "False":
                raise reasons.NO_WORKER.error(queue=name, why=str(ready.get("message", "it is not Ready")))
        for name in SOURCES:
            if self._objects.get(ObjectKey(ROW_SOURCES.plural, key.namespace, name)) is None:
                raise reasons.PIPELINE_MISSING.error(source=name)

    async def let_go(self, key: ObjectKey) -> None:
        """Another release serves it."""
        known = self._written.pop(key, None)
        if known is not None:
            self._shown.pop(known.uid, None)

    async def _forget(self, key: ObjectKey) -> None:
        known = self._written.get(key)
        if known is not None:
            rows = self._rows.get(known.dispatcher)
            if rows is not None:
                await known.dispatcher.threads.ask(rows.forget, known.uid)
            self._shown.pop(known.uid, None)
        self._written.pop(key, None)

    async def run(self) -> None:
        """Every second: ends what is over, and has those looked at whose figures changed. Until cancelled. A
        database that does not answer is left to its own look, and holds up no other's.
        """
        gone_at = 0.0
        looks: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                known = {
                    primary.uid: key
                    for key in tuple(self._objects.keys(MONITORING_PROCESSES.plural))
                    if (primary := self._objects.get(key)) is not None
                }
                look_for_gone = time.monotonic() - gone_at > GONE_SECONDS
                if look_for_gone:
                    gone_at = time.monotonic()
                looks = {each: look for each, look in looks.items() if not look.done()}
                for dispatcher in self._in_use():
                    if id(dispatcher) not in looks:
                        looks[id(dispatcher)] = asyncio.create_task(
                            self._watch(dispatcher, known, look_for_gone)
                        )
        finally:
            for look in looks.values():
                look.cancel()

    async def _watch(
        self, dispatcher: DatabaseDispatcher, known: dict[str, ObjectKey], look_for_gone: bool
    ) -> None:
        with contextlib.suppress(RowlockError):  # the duties of the database say it where it is away
            for identity in await dispatcher.threads.run(
                self._tick, self._rows[dispatcher], known, look_for_gone
            ):
                self._router.changed(known[identity])

    def _in_use(self) -> list[DatabaseDispatcher]:
        alive = set(self._databases)
        self._rows = {dispatcher: rows for dispatcher, rows in self._rows.items() if dispatcher in alive}
        for namespace in self._served_namespaces():
            with contextlib.suppress(RowlockError):
                dispatcher = self._dispatcher(namespace)
                self._rows.setdefault(dispatcher, MonitoringRows(dispatcher.reconciler_pool))
        return list(self._rows)

    def _served_namespaces(self) -> set[str]:
        """Those that have the queue whose database holds the processes. From any thread."""
        return {key.namespace for key in self._objects.keys(WORK_QUEUES.plural) if key.name == QUEUES[0]}

    def _tick(self, rows: MonitoringRows, known: dict[str, ObjectKey], look_for_gone: bool) -> list[str]:
        """In a thread: ends what is over; ids of the processes whose figures are not those shown."""
        rows.check_installed()
        changed: list[str] = []
        if known:
            rows.expire()
            changed = [
                identity
                for identity, row in rows.status(list(known)).items()
                if self._shown.get(identity) != row
            ]
        if look_for_gone:
            served = self._served_namespaces()
            for identity, namespace in rows.alive():
                if identity not in known and namespace in served:
                    rows.forget(identity)
        return changed
