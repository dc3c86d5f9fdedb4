"""Tasks that the tests run in real workers. What they did is written to a file or a table, so that a test can
count it.
"""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psycopg2

from rowlock_jobs.task import InputError, NeedsReauth, Permanent, Retry, Run, SiteError, SoftTimeLimit, task


def _note(run: Run, text: str) -> None:
    """One line, one write: safe from several processes."""
    place = run.args.get("journal")
    if place:
        with Path(place).open("a") as journal:
            journal.write(f"{run.id} {run.attempt} {os.getpid()} {text}\n")


def _wait_for(path: str, run: Run | None = None) -> None:
    """Blocks until the test makes the file; ends early where the run is canceled and asks to be checked."""
    while not Path(path).exists():
        if run is not None:
            run.check()
        time.sleep(0.01)


@task("noop")
def noop(run: Run) -> None:
    _note(run, "noop")


@task("echo")
def echo(run: Run) -> Any:
    _note(run, "echo")
    return {
        "args": dict(run.args),
        "attempt": run.attempt,
        "tries": run.tries,
        "queue": run.queue,
        "key": run.source_key,
        "pid": os.getpid(),
    }


@task("hold")
def hold(run: Run) -> str:
    """Runs until the file args['release'] exists."""
    _note(run, "begin")
    _wait_for(run.args["release"])
    _note(run, "end")
    return "released"


@task("hold_checking")
def hold_checking(run: Run) -> None:
    _note(run, "begin")
    _wait_for(run.args["release"], run)


@task("raises")
def raises(run: Run) -> None:
    _note(run, "raises")
    errors: dict[str, Exception] = {
        "Retry": Retry("again", after_seconds=77),
        "Permanent": Permanent("never"),
        "InputError": InputError("NoText", "the row is wrong"),
        "SiteError": SiteError("TooMany", "slow down", after_seconds=5),
        "NeedsReauth": NeedsReauth("log in again"),
        "MemoryError": MemoryError(),
        "ValueError": ValueError("secret-looking \x00 \ud800 text"),
    }
    raise errors[run.args["error"]]


@task("soft")
def soft(run: Run) -> str:
    """Runs into the soft limit; tidies up where asked to, ignores it where asked to."""
    _note(run, "begin")
    try:
        while True:
            time.sleep(0.01)
    except SoftTimeLimit:
        _note(run, "soft limit seen")
        if run.args.get("ignore"):
            while True:
                time.sleep(0.01)
        raise


@task("dies")
def dies(run: Run) -> None:
    _note(run, "dies")
    how = run.args["how"]
    if how == "exit":
        os._exit(3)
    if how == "sys.exit":
        raise SystemExit(4)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory is short
    if how == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "fork":
        if os.fork() == 0:
            return  # the fork comes back into the worker's own loop
        os.wait()
    if how == "orphan" and os.fork() == 0:
        _note(run, "orphan")
        time.sleep(600)
        os._exit(0)
    if how == "close":
        os.closerange(3, 256)
        time.sleep(600)


@task("big")
def big(run: Run) -> str:
    return "x" * int(run.args["bytes"])


@task("strange_result")
def strange_result(run: Run) -> Any:
    return {"nul": "a\x00b", "nan": float("nan"), "object": object()}[run.args["kind"]]


@task("progresses")
def progresses(run: Run) -> None:
    for done in range(1000):
        run.progress(done=done + 1, total=1000, note="page")
    _note(run, "begin")
    _wait_for(run.args["release"])


@task("writes")
def writes(run: Run) -> dict[str, int]:
    """Writes in the finish transaction; waits for the test in between where asked to."""
    with run.transaction() as cursor:
        cursor.execute("insert into written(run, attempt) values (%s, %s)", (run.id, run.attempt))
    _note(run, "wrote")
    if "release" in run.args:
        _wait_for(run.args["release"])
    if run.args.get("raise"):
        raise Retry("after the write")
    if run.args.get("fork"):
        if os.fork() == 0:
            return {"written": 0}  # the fork comes back into the worker's own code with the open transaction
        os.wait()
    if run.args.get("swallow"):
        with contextlib.suppress(psycopg2.Error), run.transaction() as cursor:
            cursor.execute("select 1/0")
    with run.transaction() as cursor:
        cursor.execute("select count(*) from written where run = %s", (run.id,))
        return {"written": cursor.fetchone()[0]}


_VALUES = """
select timestamptz '2026-03-29 01:30:00+00' as at, timestamptz '2026-03-29 01:30:00+00'::text as at_text,
  timestamp '2026-12-01 23:00' as local,
       date '2026-12-01' as day, interval '1 year 2 mons -3 days 04:05:06.789' as span,
       interval '90 minutes'::text as span_text,
       decode('deadbeef', 'hex') as bytes, decode('deadbeef', 'hex')::text as bytes_text,
       (0.1 + 0.2)::float8 as ratio, (1.0 / 3)::float8::text as ratio_text
"""


@task("thinks")
def thinks(run: Run) -> dict[str, str]:
    """Writes first, in both ways, and works then; returns values as both kinds of sessions show them."""
    seen: dict[str, str] = {}
    with run.transaction() as cursor, run.connection() as connection:
        cursor.execute("insert into written(run, attempt) values (%s, %s)", (run.id, run.attempt))
        with connection.cursor() as other:
            other.execute("insert into written(run, attempt) values (%s, -%s)", (run.id, run.attempt))
            for name, each in (("transaction", cursor), ("connection", other)):
                each.execute(_VALUES)
                names, row = [column.name for column in each.description], each.fetchone()
                seen |= {
                    f"{name} {of}": bytes(v).hex() if of == "bytes" else str(v)
                    for of, v in zip(names, row, strict=True)
                }
            run.progress(done=1, total=2, note="half")
            _note(run, "wrote")
            _wait_for(run.args["release"])
            other.execute("select count(*) from written")
    return {**seen, "said": run.args["said"]}


@task("serializable")
def serializable(run: Run) -> str:
    with run.transaction() as cursor:
        cursor.execute("set transaction isolation level serializable")
        cursor.execute("show transaction_isolation")
        return str(cursor.fetchone()[0])


@task("reads")
def reads(run: Run) -> dict[str, Any]:
    with run.connection() as outer, run.connection() as inner:
        with outer.cursor() as a, inner.cursor() as b:
            a.execute("insert into written(run, attempt) values (%s, 0)", (run.id,))
            b.execute("select count(*) from written where run = %s", (run.id,))
            return {"inner_sees": b.fetchone()[0]}


@task("queries")
def queries(run: Run) -> str:
    """Writes, and waits in a statement at its first attempt; tidies up by another one where it is told of its
    soft limit.
    """
    own = run.args.get("own")  # the address of a connection that the task opens by itself, as an ORM does
    try:
        with (
            psycopg2.connect(own) if own else contextlib.nullcontext() as mine,
            mine.cursor() if mine else run.transaction() as cursor,
        ):
            cursor.execute("update held set by = %s", (run.attempt,))
            if run.attempt == 1:
                _note(run, "waits")
                cursor.execute("select pg_sleep(600)")
    except SoftTimeLimit:
        if not run.args.get("tidies"):
            raise
        with run.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select pg_sleep(1)")
        _note(run, "tidied")
        raise
    return str(os.getpid())


@task("effect")
def effect(run: Run) -> dict[str, bool]:
    began = run.begin_effect("post comment 17")
    _note(run, f"began {json.dumps(began)}")
    if "release" in run.args:
        _wait_for(run.args["release"])
    return {"began": began, "ended": run.end_effect({"id": 5})}
