"""The child's side: takes one run after another from its parent, has it performed, answers."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from rowlock_jobs import hooks, logs
from rowlock_jobs.errors import SettingsError
from rowlock_jobs.fence.pool import ConnectionPool
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.fence.values import RunId, RunnerToken, RunRef, StartedRun
from rowlock_jobs.outcome import Outcome, read_outcome
from rowlock_jobs.secret_files import Address
from rowlock_jobs.worker import exit_handlers, wire
from rowlock_jobs.worker.execute import CommittedByTask, CommitUnknown, TaskRuntime, execute_task
from rowlock_jobs.worker.imports import load_in_child
from rowlock_jobs.worker.output import bound_output
from rowlock_jobs.worker.parent_death import end_with_parent
from rowlock_jobs.worker.process_state import ProcessState
from rowlock_jobs.worker.reset import Reset
from rowlock_jobs.worker.shared_memory import SharedMemory
from rowlock_jobs.worker.soft_limit import SoftLimit
from rowlock_jobs.worker.start_permits import StartPermits

_LONGEST_SECONDS = 366 * 86_400.0
_COMMITTED_STATES = frozenset({"succeeded"})  # what a finish in a task's own transaction can say


@dataclass(frozen=True, slots=True)
class BatchReleased:
    """The child begins none of the runs that it was handed and has not answered."""


Answer = Outcome | CommittedByTask | CommitUnknown


def encode_run(started: StartedRun, token: RunnerToken) -> wire.Message:
    """A run as the parent sends it."""
    return [
        started.ref.id,
        started.ref.attempt,
        started.task,
        started.args,
        started.queue,
        started.source_key,
        started.tries,
        token,
    ]


def decode_result(message: wire.Message) -> tuple[float, Answer | BatchReleased]:
    """The child's answer as the parent reads it, and how many seconds the run took. Raises wire.Spoiled where
    it is none.
    """
    match message:
        case [str() as word, int() | float() as seconds, *rest] if 0 <= seconds < _LONGEST_SECONDS:
            answer = _read_words(word, rest)
            if answer is not None:
                return float(seconds), answer
    raise wire.Spoiled("no answer")


def _read_words(word: str, rest: wire.Message) -> Answer | BatchReleased | None:
    match word, rest:
        case "done", [
            str() as kind,
            str() | None as result,
            str() | None as failure,
            str() as failure_class,
            str() as reason,
        ]:
            return read_outcome(kind, result, failure, failure_class, reason)
        case "committed", [str() | None as state, str() as remark] if (
            state is None or state in _COMMITTED_STATES
        ):
            return CommittedByTask(state, remark[:200])
        case "unknown", []:
            return CommitUnknown()
        case "released", []:
            return BatchReleased()
    return None


def serve(
    channel: socket.socket,
    memory: SharedMemory,
    permits: StartPermits,
    parent_pid: int,
    *,
    inherited: Iterable[int],
    database: Address,
    soft_seconds: float,
) -> NoReturn:
    """The child's whole life; ends with the process. `inherited`: the parent's sockets."""
    try:
        # libpq's name for connections that a task's own libraries open: what they leave at work is found and
        # ended like that of ours.
        os.environ.setdefault("PGAPPNAME", memory.session_name)
        _detach_from_parent(parent_pid, inherited)
        own_pid = os.getpid()
        limit = SoftLimit(soft_seconds, memory.note_soft_limit, memory.announce_soft_limit)
        _take_runs(channel, memory, permits, ConnectionPool(database, memory.session_name), limit)
        if os.getpid() == own_pid:  # a task's fork that came back here is not the child
            exit_handlers.run()
    except BaseException as error:  # noqa: BLE001 - nothing above this frame belongs to the child
        with suppress(Exception):
            sys.stderr.write(f"the process of the tasks ended: {type(error).__name__}: {error}\n")
            sys.stderr.flush()
        os._exit(70)
    os._exit(0)


def _take_runs(
    channel: socket.socket,
    memory: SharedMemory,
    permits: StartPermits,
    pool: ConnectionPool,
    limit: SoftLimit,
) -> None:
    own_pid, reader = os.getpid(), wire.Reader(channel)
    outputs = bound_output()
    reset, process_state = Reset(), ProcessState()
    while True:
        message = reader.next_message()
        if message is None:
            if not reader.fill():
                return
            continue
        first, runs = message
        for sequence, run in enumerate(runs, first):
            memory.begin()  # before the permit: from then on what stands there is this run's
            if memory.is_spent or not permits.take():
                _answer(channel, ["released", 0.0])
                break
            run_id, attempt, task, args, queue, source_key, tries, token = run
            started = StartedRun(RunRef(RunId(run_id), attempt), task, args, queue, source_key, tries)
            session = TaskSession(pool)
            runtime = TaskRuntime(
                session,
                started.ref,
                RunnerToken(token),
                lambda at=sequence: memory.is_canceled(at),  # type: ignore[misc]
                memory.write_progress,
            )
            for output in outputs:
                output.begin()
            began = time.monotonic()
            answer = execute_task(started, runtime, limit)
            reset.undo()
            if os.getpid() != own_pid:
                return  # the task forked and its fork came back here: only the child itself may answer
            if hooks.needs_new_process():
                memory.spend()
            if changed := process_state.changed():
                memory.spend()
                sys.stdout, sys.stderr = outputs
                logs.emit(
                    logs.CHILD_CHANGED,
                    logging.WARNING,
                    run=run_id,
                    attempt=attempt,
                    task=task,
                    changed=", ".join(changed),
                )
            for output in outputs:
                output.end()
            _answer(channel, _encode_result(answer, time.monotonic() - began))
            session.end()  # the answer does not wait for it, the next run does
        if len(runs) > 1:
            permits.say_done()


def _answer(channel: socket.socket, message: wire.Message) -> None:
    try:
        wire.send(channel, *message)
    except OSError:
        # The task closed it, shut it down or put something else in its place: nobody hears us any more.
        os._exit(wire.UNHEARD)


def _encode_result(answer: Answer, seconds: float) -> wire.Message:
    if isinstance(answer, CommittedByTask):
        return ["committed", seconds, answer.state, answer.remark]
    if isinstance(answer, CommitUnknown):
        return ["unknown", seconds]
    return ["done", seconds, answer.kind, answer.result, answer.failure, answer.failure_class, answer.reason]


def _detach_from_parent(parent_pid: int, inherited: Iterable[int]) -> None:
    """Makes the fork a process of its own: its group, its signals, its death with the parent, none of the
    parent's sockets.
    """
    with suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not end_with_parent(signal.SIGKILL, parent_pid):
        os._exit(0)
    # Closing would let libpq say goodbye on the parent's connection once the object is collected here;
    # /dev/null listens instead.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in inherited:
        os.dup2(null, descriptor)
    os.close(null)
    exit_handlers.forget_inherited()
    try:
        load_in_child()
    except SettingsError as error:
        logs.emit(logs.CHILD_IMPORT_FAILED, logging.ERROR, error=str(error))
        os._exit(wire.IMPORT_FAILED)
    hooks.call_forked()
