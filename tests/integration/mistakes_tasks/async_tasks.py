"""Tasks that are coroutines, and what they do to their limits."""

import asyncio
import datetime
import decimal
import functools
import signal
import time
from collections.abc import Callable
from typing import Any

from rowlock_jobs.task import Canceled, Run, SoftTimeLimit, task

NAMES = ("waits", "wrapped", "takes_the_alarm", "nexts")


def _traced(function: Any) -> Any:
    """A decorator that hides what it decorates, as tracing libraries have them."""

    @functools.wraps(function)
    def inner(run: Run) -> Any:
        return function(run)

    return inner


@task("wrapped")
@_traced
async def wrapped(run: Run) -> str:
    await asyncio.sleep(0)
    return "awaited"


@task("waits")
async def waits(run: Run) -> Any:
    """In one of the ways in which a coroutine waits, and notices its end in one of the ways in which it
    can.
    """
    note = functools.partial(_note, run.args["note"])
    note("begun")
    try:
        match run.args["how"]:
            case "sleep":
                await asyncio.sleep(60)
            case "task group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(_inner(note))
                    await asyncio.sleep(60)
            case "gather":
                await asyncio.gather(_inner(note), asyncio.sleep(60))
            case "wait_for":
                await asyncio.wait_for(asyncio.sleep(60), 50)
            case "busy":
                while True:
                    time.sleep(0.01)
            case "thread":
                await asyncio.to_thread(time.sleep, 1.5)
            case "other task is busy":
                asyncio.get_running_loop().call_soon(_hog)
                await asyncio.sleep(60)
            case "raises":
                await asyncio.sleep(0)
                raise ValueError("in a coroutine")
            case "cancels itself":
                raise asyncio.CancelledError
            case "leaves a task":
                asyncio.create_task(_inner(note))
                await asyncio.sleep(0)
                return "returned"
    except SoftTimeLimit:
        note("soft limit")
        if run.args.get("tidies"):
            await asyncio.sleep(0.01)
            return "tidied"
        raise
    except Canceled:
        note("canceled")
        raise
    except asyncio.CancelledError:
        note("cancelled error")
        raise
    finally:
        note("left")


async def _inner(note: Callable[[str], None]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        note("inner ended")


def _note(path: str, text: str) -> None:
    with open(path, "a") as note:
        note.write(text + "\n")


def _hog() -> None:
    time.sleep(0.8)


@task("takes_the_alarm")
def takes_the_alarm(run: Run) -> str:
    """As libraries with a timeout of their own do."""
    match run.args["how"]:
        case "handler":
            signal.signal(signal.SIGALRM, lambda *_: None)
        case "timer":
            signal.alarm(5)
            signal.alarm(0)
        case "puts back":
            before, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, *left)
    if run.args.get("stays"):
        time.sleep(60)
    return "done"


@task("nexts")
def nexts(run: Run) -> Any:
    """Enqueues the next run."""
    args: dict[str, Any] = run.args.get("args") or {}
    match run.args.get("odd"):
        case "kinds":
            args = {"price": decimal.Decimal("1.10"), "on": datetime.date(2026, 1, 2), "nan": float("nan")}
        case "object":
            args = {"run": run.enqueue}
    run_id = run.enqueue(run.args["next"], args, key=run.args.get("key"), queue=run.args.get("queue"))
    if run.args.get("raise"):
        raise RuntimeError("after all")
    return run_id
