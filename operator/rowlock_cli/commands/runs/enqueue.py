"""The commands that change single runs: enqueue, requeue, cancel."""

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from rowlock_cli import show
from rowlock_cli.asking import check_asking
from rowlock_cli.connection import Cursor, Ledger, sql
from rowlock_cli.errors import Failed
from rowlock_cli.removing import WAITING, clear
from rowlock_cli.runs import ENDED, RunRow, find_run
from rowlock_cli.session import cluster_options, ledger, output_option, queue_named

_BATCH = 500
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_POLL_SECONDS = 0.2


@click.command("enqueue")
@click.argument("queue")
@click.argument("task")
@click.option(
    "--arg",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="One argument; read as JSON where it is JSON, else as text. May be repeated.",
)
@click.option("--args", "text", metavar="JSON", help="All arguments as one JSON object.")
@click.option("--key", help="At most one active run of the queue has this key.")
@click.option(
    "--priority", type=click.IntRange(-100, 100), default=0, show_default=True, help="Higher goes first."
)
@click.option(
    "--wait-for-queue",
    is_flag=True,
    help="Also where there is no such queue yet (NAMESPACE/NAME): the run waits for its WorkQueue.",
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 0 only if it succeeded.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --wait: give up waiting after so long.",
)
@output_option
@cluster_options
def enqueue(
    queue: str,
    task: str,
    pairs: tuple[str, ...],
    text: str | None,
    key: str | None,
    priority: int,
    wait_for_queue: bool,
    wait: bool,
    timeout_seconds: float | None,
    output: str,
) -> None:
    """Run TASK once in QUEUE."""
    arguments = parse_arguments(pairs, text)
    with ledger() as opened:
        with opened.transaction() as cur:
            full = queue if wait_for_queue and "/" in queue else queue_named(cur, queue)
            values = {
                "queue": full,
                "task": task,
                "args": json.dumps(arguments),
                "key": key,
                "priority": priority,
            }
            values["wait_for_queue"] = wait_for_queue
            cur.execute(sql("enqueue"), values)
            run_id, existed = _first(cur), False
            if run_id is None:
                cur.execute(sql("active_with_key"), {"queue": full, "key": key})
                run_id, existed = _first(cur), True
        if run_id is None:
            raise Failed(f"the run with the key {key} in {full} ended just now; run this again")
        if existed:
            click.echo(f"an active run of {full} has the key {key} already: {run_id}", err=True)
        if wait:
            run = _wait(opened, run_id, timeout_seconds)
            click.echo(show.as_json([run]) if output == "json" else show.sentences([_outcome(run)]))
            if run.state != "succeeded":
                raise click.exceptions.Exit(1)
        else:
            click.echo(
                show.to_json({"id": run_id, "queue": full, "existed": existed})
                if output == "json"
                else run_id
            )


def parse_arguments(pairs: tuple[str, ...], text: str | None) -> dict[str, Any]:
    """The arguments of a task from `--args` and `--arg name=value` (which wins). click.UsageError for what is
    neither.
    """
    arguments: dict[str, Any] = {}
    if text is not None:
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"--args is not JSON that can be read: {error}") from error
        if not isinstance(whole, dict):
            raise click.UsageError('--args must be a JSON object, such as {"id": 17}')
        arguments = whole
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--arg {pair!r} is not NAME=VALUE")
        try:
            arguments[name] = json.loads(value)
        except (ValueError, RecursionError):
            arguments[name] = value
    return arguments


@click.command("requeue")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--queue", help="With --all-dead: of this work queue.")
@click.option(
    "--all-dead", is_flag=True, help="All dead runs of the queue (those with an unknown outcome only by id)."
)
@output_option
@cluster_options
def requeue(runs: tuple[str, ...], queue: str | None, all_dead: bool, output: str) -> None:
    """Run dead, unknown or canceled runs again.

    They get fresh budgets of retries, the next attempt number, and the arguments of their row as it is now.
    """
    if bool(runs) == all_dead or all_dead != bool(queue):
        raise click.UsageError("name the runs, or say --queue QUEUE --all-dead")
    with ledger() as opened:
        if queue:
            _requeue_all_dead(opened, queue, output)
            return
        with opened.transaction() as cur:
            chosen = [find_run(cur, beginning) for beginning in runs]
            gone = set(_requeue(cur, [run.id for run in chosen]))
    told = [
        (run.id, f"{run.id} is pending again (attempt {run.attempt + 1})") for run in chosen if run.id in gone
    ]
    report("requeued", told, [_why_not(run) for run in chosen if run.id not in gone], output)


def _requeue_all_dead(opened: Ledger, queue: str, output: str) -> None:
    with opened.transaction() as cur:
        full = queue_named(cur, queue)
    asked, done = 0, 0
    for batch in _dead_batches(opened, full):
        with opened.transaction() as cur:
            asked, done = asked + len(batch), done + len(_requeue(cur, batch))
    if output == "json":
        click.echo(show.to_json({"queue": full, "dead": asked, "requeued": done}))
    else:
        click.echo(f"{done} of {asked} dead runs of {full} are pending again")
    if done < asked:
        raise Failed(
            f"{asked - done} were left: another active run has their key; `rowlock dead-letters --queue"
            f" {full}` lists them"
        )


@click.command("cancel")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--queue", help="With --all-waiting: of this work queue.")
@click.option(
    "--all-waiting",
    is_flag=True,
    help="All runs of the queue that have not started; asks first. Running ones go on.",
)
@click.option("--reason", default="Canceled", show_default=True, help="Shown with the run.")
@click.option("--yes", is_flag=True, help="With --all-waiting: do not ask.")
@click.option("--dry-run", is_flag=True, help="With --all-waiting: only say how many there are.")
@output_option
@cluster_options
def cancel(
    runs: tuple[str, ...],
    queue: str | None,
    all_waiting: bool,
    reason: str,
    yes: bool,
    dry_run: bool,
    output: str,
) -> None:
    """End runs: waiting ones at once, running ones within seconds."""
    if bool(runs) == all_waiting or all_waiting != bool(queue):
        raise click.UsageError("name the runs, or say --queue QUEUE --all-waiting")
    if queue:
        check_asking(yes=yes, dry_run=dry_run, output=output)
        clear(
            "cancel", queue, WAITING, older_seconds=0, reason=reason, yes=yes, dry_run=dry_run, output=output
        )
        return
    if yes or dry_run:
        raise click.UsageError(
            "--yes and --dry-run belong to --all-waiting: runs that are named are canceled without a question"
        )
    told, left = [], []
    with ledger() as opened, opened.transaction() as cur:
        for beginning in runs:
            run = find_run(cur, beginning)
            cur.execute(sql("cancel"), {"ids": [run.id], "reason": reason})
            if _first(cur):
                told.append(
                    (run.id, f"{run.id} {'is told to end' if run.state == 'running' else 'is canceled'}")
                )
            else:
                left.append(
                    f"{run.id} was told to end already"
                    if run.cancel_requested
                    else f"{run.id} is {run.state}: nothing to cancel"
                )
    report("canceled", told, left, output)


def report(verb: str, told: list[tuple[str, str]], left: list[str], output: str) -> None:
    """What was done, then what was not; exit code 1 where anything was left."""
    if output == "json":
        click.echo(show.to_json({verb: [run_id for run_id, _ in told], "left": left}))
    else:
        for _, sentence in told:
            click.echo(sentence)
    for sentence in left:
        click.echo(f"Error: {sentence}", err=True)
    if left:
        raise click.exceptions.Exit(1)


def _dead_batches(opened: Ledger, queue: str) -> Iterator[list[str]]:
    after = _FIRST_ID
    while True:
        with opened.transaction() as cur:
            cur.execute(sql("dead_ids"), {"queue": queue, "after": after, "limit": _BATCH})
            batch = [run_id for (run_id,) in cur.fetchall()]
        if not batch:
            return
        yield batch
        after = batch[-1]


def _requeue(cur: Cursor, ids: list[str]) -> list[str]:
    cur.execute(sql("requeue"), {"ids": ids})
    return [run_id for (run_id,) in cur.fetchall()]


def _why_not(run: RunRow) -> str:
    if run.state in ("dead", "unknown", "canceled"):
        return f"{run.id} stays {run.state}: another active run has its key {run.source_key}"
    return f"{run.id} is {run.state}; only dead, unknown and canceled runs are requeued"


def _wait(opened: Ledger, run_id: str, timeout_seconds: float | None) -> RunRow:
    end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        with opened.transaction() as cur:
            run = find_run(cur, run_id)
        if run.state in ENDED:
            return run
        if end is not None and time.monotonic() > end:
            raise Failed(
                f"{run_id} is still {run.state} after {timeout_seconds:g} s; `rowlock why {run_id}` says why"
            )
        time.sleep(_POLL_SECONDS)


def _outcome(run: RunRow) -> str:
    if run.state == "succeeded":
        return f"{run.id} succeeded" + ("" if run.result is None else f": {json.dumps(run.result)}")
    reason = run.failed_with("reason") or "no reason recorded"
    return f"{run.id} is {run.state}: {reason}: {run.failed_with('message')}".rstrip(": ")


def _first(cur: Cursor) -> Any:
    row = cur.fetchone()
    return row[0] if row else None
