"""Builds the services of a worker process and runs them: the only place that knows every room."""

import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver, SettingsError, TransportAway
from rowlock_jobs.fence.connection import FenceConnection, check_address
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.values import RunRef, parse_rq_id
from rowlock_jobs.settings import Settings
from rowlock_jobs.task import import_tasks, registered_tasks
from rowlock_jobs.worker.attempts import Attempts
from rowlock_jobs.worker.child import serve
from rowlock_jobs.worker.heartbeat import Heartbeat
from rowlock_jobs.worker.imports import known_tasks, load_for_one, load_in_parent
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.loop import Loop
from rowlock_jobs.worker.once import run_once
from rowlock_jobs.worker.prefork import Child
from rowlock_jobs.worker.redis_client import RedisUnsuitable, connect_redis
from rowlock_jobs.worker.rq_worker import BEAT_SECONDS, RowlockWorker, open_worker, quietly, rq_time
from rowlock_jobs.worker.shutdown import Shutdown
from rowlock_jobs.worker.supervisor import Supervisor, part_file
from rowlock_jobs.worker.task_allow_list import TaskAllowList
from rowlock_jobs.worker.transport import Transport

_REDIS_PAUSE_SECONDS = 1.0


def run_workers(settings: Settings) -> int:
    """The `run` command: one parent in this process, or several under a supervisor. Returns the exit code."""
    check_address(settings.database)
    connect_redis(settings.require_redis())  # opens nothing, refuses what can never be opened
    _load_tasks(settings, load_in_parent)
    if settings.processes == 1:
        return run_worker(settings, settings.alive_file)
    work = partial(_run_part, settings)
    return Supervisor(work, processes=settings.processes, alive_file=settings.alive_file).run()


def _run_part(settings: Settings, number: int) -> int:
    try:
        return run_worker(settings, part_file(settings.alive_file, number))
    except SettingsError as error:  # a fork must say so itself
        logs.emit(logs.SETTINGS_REFUSED, logging.ERROR, command="run", error=str(error))
        return 2


def run_worker(settings: Settings, alive_file: Path, shutdown: Shutdown | None = None) -> int:
    """One worker parent until it is asked to end. Its tasks are imported already. `stopping` makes the pauses
    between two tries.
    """
    name = f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:6]}"
    shutdown = shutdown or Shutdown(settings.grace_seconds)
    shutdown.install()
    client = connect_redis(settings.require_redis())
    transport = Transport(client, rq_queue=settings.rq_queue, worker_name=name, rq_time=rq_time)
    fences, keeper = _connections(settings, f"rowlock-worker {name}")
    attempts: Attempts  # the worker asks for the child's pid, the child's owner ticks the worker

    def make_worker() -> RowlockWorker:
        # RQ speaks to Redis in its constructor.
        while True:
            try:
                opened = open_worker(
                    settings.rq_queue, client, name=name, child_pid=lambda: attempts.child_pid
                )
                transport.away = False
                return opened
            except RedisUnsuitable as error:
                raise SettingsError(str(error)) from None
            except TransportAway as error:
                transport.away = True
                logs.emit(logs.REDIS_AWAY, logging.WARNING, error=str(error))
                shutdown.pause(_REDIS_PAUSE_SECONDS)

    heartbeat = Heartbeat(
        alive_file,
        beat=lambda: quietly(worker.beat),
        beat_seconds=BEAT_SECONDS,
        own_pids=lambda: attempts.own_pids,
        waits_for=lambda: [
            name for name, away in (("Redis", transport.away), ("PostgreSQL", fences.away)) if away
        ],
    )
    shutdown.while_waiting = heartbeat.touch
    lease = Lease(Ledger(fences), name, settings.lease, shutdown.pause, keeper=Ledger(keeper))
    fences.while_waiting = partial(_keep_alive, heartbeat, lease)

    def inherited() -> list[int]:
        return transport.descriptors() + _descriptors(fences)

    attempts = _attempts(settings, lease, shutdown, heartbeat, inherited)
    try:
        worker = make_worker()
    except GraceOver:
        return 0
    heartbeat.touch()
    gc.freeze()  # what is loaded by now stays shared with every child: no copy by the collector's marks
    logs.emit(logs.WORKER_STARTED, worker=name, queue=settings.queue, tasks=",".join(settings.tasks))
    loop = Loop(
        transport=transport,
        lease=lease,
        attempts=attempts,
        worker=worker,
        heartbeat=heartbeat,
        shutdown=shutdown,
        allow_list=TaskAllowList.of(settings, known_tasks()),
    )
    loop.run()
    fences.close()
    logs.emit(logs.WORKER_STOPPED, worker=name)
    return 0


def run_one(settings: Settings) -> int:
    """The `once` command. Returns 0 once the outcome is recorded, whatever it is."""
    ref = run_reference(settings)
    check_address(settings.database)
    _load_tasks(settings, load_for_one)
    shutdown = Shutdown(settings.grace_seconds)
    shutdown.install()
    fences, keeper = _connections(settings, f"rowlock-once {ref.rq_id}")
    heartbeat = Heartbeat(
        settings.alive_file,
        beat=lambda: True,
        beat_seconds=BEAT_SECONDS,
        own_pids=lambda: attempts.own_pids,
        waits_for=lambda: ["PostgreSQL"] if fences.away else [],
    )
    shutdown.while_waiting = heartbeat.touch
    lease = Lease(Ledger(fences), f"once {ref.rq_id}", settings.lease, shutdown.pause, keeper=Ledger(keeper))
    fences.while_waiting = partial(_keep_alive, heartbeat, lease)
    attempts = _attempts(settings, lease, shutdown, heartbeat, lambda: _descriptors(fences))
    recorded = run_once(
        ref,
        lease=lease,
        attempts=attempts,
        shutdown=shutdown,
        allow_list=TaskAllowList.of(settings, registered_tasks()),
    )
    return 0 if recorded else 1


def run_reference(settings: Settings) -> RunRef:
    """The attempt that the pod's environment names. Raises SettingsError."""
    ref = parse_rq_id(f"{settings.run_id}-{settings.attempt}")
    if ref is None:
        raise SettingsError(
            f"ROWLOCK_RUN_ID {settings.run_id!r} and ROWLOCK_ATTEMPT {settings.attempt!r} do not name an"
            " attempt"
        )
    return ref


def list_tasks(imports: Sequence[str], allow_list: Sequence[str]) -> list[str]:
    """The `tasks` command: one line a registered task. An empty allow-list is not set yet, and marks none."""
    import_tasks(imports)
    marks = {
        name: "" if not allow_list or name in allow_list else "  (not in the allow-list)"
        for name in registered_tasks()
    }
    return [f"{name}\t{place}{marks[name]}" for name, place in registered_tasks().items()]


def _connections(settings: Settings, name: str) -> tuple[FenceConnection, FenceConnection]:
    """For the fences, and for renewals while a fence waits: that one is open only then."""
    return FenceConnection(settings.database, name[:63]), FenceConnection(
        settings.database, f"{name[:58]} keep"
    )


def _descriptors(connection: FenceConnection) -> list[int]:
    descriptor = connection.fileno()
    return [] if descriptor is None else [descriptor]


def _keep_alive(heartbeat: Heartbeat, lease: Lease) -> None:
    heartbeat.touch()
    lease.keep()


def _attempts(
    settings: Settings,
    lease: Lease,
    shutdown: Shutdown,
    heartbeat: Heartbeat,
    inherited: Callable[[], list[int]],
) -> Attempts:
    child = partial(serve, database=settings.database, soft_seconds=settings.limits.soft_seconds)
    return Attempts(lambda: Child(child, inherited), settings.limits, lease, shutdown, heartbeat.tick)


def _load_tasks(settings: Settings, load: Callable[[Sequence[str]], None]) -> None:
    began = time.monotonic()
    # A module may hang, or end the process without a word (os._exit, a crash in C): then this is the last
    # line.
    logs.emit(logs.TASKS_IMPORTING, modules=",".join(settings.imports))
    load(settings.imports)
    missing = [name for name in settings.tasks if name not in known_tasks()]
    if missing:
        raise SettingsError(
            f"task {', '.join(missing)} of ROWLOCK_TASKS is registered by no module of ROWLOCK_IMPORTS "
            f"({', '.join(settings.imports) or 'none'}); registered: {', '.join(known_tasks()) or 'none'}"
        )
    logs.emit(logs.TASKS_IMPORTED, logging.DEBUG, seconds=round(time.monotonic() - began, 2))
