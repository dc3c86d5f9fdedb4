"""The worker as RQ knows it: listed by `rq info`, rq-dashboard and Worker.all(), obeying rq suspend, stop and
shutdown.

Built on RQ 3.0's own class so that its records stay RQ's; its work loop, its fork per run and its threads are
not used.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from importlib import resources
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from rq import Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE, handle_command
from rq.utils import now, utcformat
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from rowlock_jobs import logs
from rowlock_jobs.worker.redis_client import SOCKET_SECONDS, away
from rowlock_jobs.worker.rq_commands import read_command
from rowlock_jobs.worker.rq_maintenance import ReadableJob, tidy
from rowlock_jobs.worker.transport import EXECUTION_SECONDS, WORKER_SECONDS, Claim

BEAT_SECONDS = 2.0
MAINTENANCE_SECONDS = 60
_COMMANDS_A_BEAT = 100  # whoever floods the channel must not hold the parent


def rq_time() -> str:
    """Now, as RQ writes it."""
    return str(utcformat(now()))


class RowlockWorker(Worker):  # type: ignore[misc]
    """One worker on one queue. `child_pid` is the process that runs the task (RQ's "horse"), 0 while there is
    none.
    """

    def __init__(
        self, queue: str, connection: "redis.Redis", *, name: str, child_pid: Callable[[], int] = lambda: 0
    ) -> None:
        super().__init__(
            [queue],
            name=name,
            connection=connection,
            job_class=ReadableJob,
            serializer="json",
            worker_ttl=WORKER_SECONDS - 60,
            job_monitoring_interval=EXECUTION_SECONDS - 60,
            maintenance_interval=MAINTENANCE_SECONDS,
        )
        self._child_pid = child_pid
        self._beat = connection.register_script(
            resources.files(__package__).joinpath("beat.lua").read_text(encoding="utf-8")
        )
        self._queue_workers = WORKERS_BY_QUEUE_KEY % queue
        self._messages: Any = None
        self._stopped: str | None = None
        self._current: Claim | None = None

    @property
    def connection_timeout(self) -> float:
        """RQ raises the client's socket timeout to its own idle wait; ours is short."""
        return SOCKET_SECONDS

    @property
    def horse_pid(self) -> int:
        return self._child_pid()

    def announce(self) -> None:
        """Enters the worker in RQ's records. Raises RedisError."""
        self.birth_date = now()
        self._renew()
        self.connection.hdel(self.key, "death")

    def beat(self) -> None:
        """Renews the records (all of them: Redis may have forgotten everything), obeys commands, tidies up.
        Raises RedisError.
        """
        _twice(self._renew)
        _twice(self._obey)
        if self.last_cleaned_at is None or now() - self.last_cleaned_at > timedelta(
            seconds=self.maintenance_interval
        ):
            with suppress(OutOfMemoryError):  # a full Redis: turn.lua makes room
                self.clean_registries()

    def _renew(self) -> None:
        self.last_heartbeat = now()
        rq_id, execution = (self._current.rq_id, self._current.execution) if self._current else ("", "")
        worker = [str(part) for pair in self.serialize().items() if pair[1] is not None for part in pair]
        keys: list[Any] = [
            self.key,
            self.executions_key,
            self.queues[0].started_job_registry.key,
            self.redis_workers_keys,
            self._queue_workers,
        ]
        times: list[Any] = [rq_time(), f"{time.time():.6f}", WORKER_SECONDS, EXECUTION_SECONDS]
        self._beat(keys=keys, args=[*times, rq_id if execution else "", execution, *worker])

    def clean_registries(self) -> None:
        """RQ's maintenance. Raises RedisError."""
        tidy(self, self.queues[0])
        self.last_cleaned_at = now()

    def depart(self) -> None:
        """Leaves RQ's records. Raises RedisError."""
        if self._messages is not None:
            self._messages.close()
        self.register_death()

    def holds(self, claim: Claim | None) -> None:
        """What this worker runs now, for commands and heartbeats."""
        self._current, self._stopped = claim, None

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped the current run through RQ."""
        return self._current is not None and self._stopped == self._current.rq_id

    def request_stop_execution(self, execution_id: str) -> None:
        """RQ's command stop-execution."""
        if self._current is not None and self._current.execution == execution_id:
            self._stopped = self._current.rq_id
            self.kill_horse()

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """RQ's command kill-horse."""
        pid = self._child_pid()
        if pid and self._current is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, sig)

    def _obey(self) -> None:
        # RQ listens in a thread; a process that forks must not have one, so commands are taken at each beat.
        if self._messages is None:
            self._messages = self.connection.pubsub(ignore_subscribe_messages=True)
            self._messages.subscribe(PUBSUB_CHANNEL_TEMPLATE % self.name)
        for _ in range(_COMMANDS_A_BEAT):
            try:
                message = self._messages.get_message(timeout=0)
            except (RedisError, OSError):
                self._messages.close()
                self._messages = None  # a new one, by the address as it is then
                raise
            if message is None:
                return
            try:
                payload = read_command(message)
            except ValueError as error:
                logs.emit(logs.RQ_COMMAND_REFUSED, logging.WARNING, reason=str(error))
                continue
            if payload["command"] == "stop-job":
                if self._current is not None and self._current.rq_id == payload.get("job_id"):
                    self.request_stop_execution(self._current.execution)
            else:
                handle_command(self, payload)


def open_worker(
    queue: str, connection: "redis.Redis", *, name: str, child_pid: Callable[[], int]
) -> RowlockWorker:
    """A worker that RQ lists. Raises TransportAway where Redis is away (RQ's constructor speaks to it
    already).
    """
    try:
        worker = RowlockWorker(queue, connection, name=name, child_pid=child_pid)
        worker.announce()
        return worker
    except (RedisError, OSError) as error:
        raise away(error, connection.connection_pool) from None


def _twice(action: Callable[[], None]) -> None:
    """A connection that was dropped since the last beat is no outage: the second try makes a new one."""
    try:
        action()
    except RedisConnectionError:
        action()


def quietly(action: Callable[[], None]) -> bool:
    """Does something RQ would like to have and nobody needs; False where Redis was away."""
    try:
        action()
    except RedisError as error:
        logs.emit(logs.RQ_RECORDS_NOT_WRITTEN, logging.DEBUG, error=str(error))
        return False
    return True
