"""Ids, the shared page, messages, the registry, log lines."""

import json
import logging
import signal
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver, SettingsError, SoftTimeLimit
from rowlock_jobs.fence.values import parse_rq_id
from rowlock_jobs.task import find_task, import_tasks, task
from rowlock_jobs.worker import wire
from rowlock_jobs.worker.shared_memory import PROGRESS_LIMIT_BYTES, SharedMemory
from rowlock_jobs.worker.shutdown import Shutdown
from rowlock_jobs.worker.soft_limit import SoftLimit
from rowlock_jobs.worker.task_allow_list import TaskAllowList

RUN = "01a206a9-693f-7ce0-93cb-cfb87fa51e52"


def test_an_rq_id_is_a_run_and_an_attempt() -> None:
    ref = parse_rq_id(f"{RUN}-12")
    assert ref is not None
    assert (ref.id, ref.attempt, ref.rq_id) == (RUN, 12, f"{RUN}-12")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        RUN,
        f"{RUN}-",
        f"{RUN}-x",
        f"{RUN}--1",
        f"{RUN}-²",
        f"{RUN}-9999999999",
        f"{RUN[:-1]}g-1",
        f"x{RUN}-1",
    ],
)
def test_anything_else_is_no_run(text: str) -> None:
    assert parse_rq_id(text) is None


def test_a_cancel_hits_only_the_run_it_was_meant_for() -> None:
    page = SharedMemory()
    page.begin()
    assert not page.is_canceled(1)
    page.cancel(1)
    assert page.is_canceled(1)
    page.begin()
    page.cancel(1)  # late: the child is at its second run
    assert not page.is_canceled(2)


def test_the_newest_progress_is_read_and_none_after_a_new_begin() -> None:
    page = SharedMemory()
    page.begin()
    assert page.read_progress() is None
    page.write_progress(b'{"done":1,"note":"a long one"}')
    page.write_progress(b'{"done":2}')
    assert page.read_progress() == '{"done":2}'
    page.begin()
    assert page.read_progress() is None


def test_progress_that_does_not_fit_is_refused_whole() -> None:
    page = SharedMemory()
    page.begin()
    page.write_progress(b'{"done":1}')
    with pytest.raises(ValueError, match="4000 are allowed"):
        page.write_progress(b"x" * (PROGRESS_LIMIT_BYTES + 1))
    assert page.read_progress() == '{"done":1}'


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=300)), max_size=5), max_size=20)
)
def test_messages_come_out_as_they_went_in_however_the_stream_cuts_them(messages: list[list[object]]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = wire.Reader(theirs)
        for message in messages:
            wire.send(ours, *message)
        ours.close()
        while reader.fill():
            pass
        assert [reader.next_message() for _ in messages] == messages
        assert reader.next_message() is None


def test_a_task_name_belongs_to_one_function() -> None:
    def function(_run: object) -> None: ...

    def other(_run: object) -> None: ...

    task("unit.named")(function)
    task("unit.named")(function)  # a module imported twice under the same name
    assert find_task("unit.named") is function
    with pytest.raises(ValueError, match="is registered by"):
        task("unit.named")(other)
    with pytest.raises(ValueError, match="plain name"):
        task(" a")


def test_a_module_that_fails_is_named() -> None:
    with pytest.raises(SettingsError, match="'no_such_module_anywhere'"):
        import_tasks(["json", "no_such_module_anywhere"])


def test_the_allow_list_comes_before_the_registry() -> None:
    allowed = TaskAllowList(frozenset({"a", "missing"}), frozenset({"a", "b"}))
    refusals = [allowed.refusal(name) for name in ("a", "b", "missing")]
    assert [r.reason if r else None for r in refusals] == [None, "TaskNotAllowed", "TaskUnknown"]


def test_a_wait_ends_when_the_process_should() -> None:
    shutdown = Shutdown(grace_seconds=60)
    shutdown.pause(0)
    shutdown.request()
    with pytest.raises(GraceOver):
        shutdown.pause(60)
    shutdown.holding = True
    shutdown.pause(0)
    assert not shutdown.is_over(time.monotonic())
    shutdown.request()
    assert shutdown.is_over(time.monotonic())
    with pytest.raises(GraceOver):
        shutdown.pause(60)


def test_log_lines_are_one_json_object_with_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    root, handlers, level, out = (
        logging.getLogger(),
        logging.getLogger().handlers[:],
        logging.getLogger().level,
        logs._out,
    )
    try:
        logs.configure_logging("json")
        logs.emit(logs.RUN_STARTED, run="r", attempt=1)
        logs.run_logger(run="r", attempt=1, task="t", queue="q").info("two\nlines", extra={"pages": 3})
        first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logs._out = out
    assert (first["event"], first["run"], first["attempt"], first["level"]) == ("run_started", "r", 1, "info")
    assert (second["event"], second["run"], second["task"], second["pages"]) == ("two\nlines", "r", "t", 3)
    assert set(second) - set(first) == {"task", "queue", "pages"}, "one schema for both"


def test_the_soft_limit_rings_once_and_an_outer_alarm_goes_on() -> None:
    """Under a stock RQ worker the outer alarm is RQ's own timeout: it must still end a task that ignores the
    soft limit.
    """

    class Outer(Exception): ...

    def ring(_signal: int, _frame: object) -> None:
        raise Outer

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        seen: list[str] = []
        with pytest.raises(Outer), SoftLimit(0.05):
            while True:
                try:
                    signal.pause()
                except SoftTimeLimit:
                    seen.append("soft")
        assert seen == ["soft"]
        assert signal.getsignal(signal.SIGALRM) is ring
        with SoftLimit(10):
            pass
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
