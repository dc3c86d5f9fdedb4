"""`rowlock monitor`: the queues as they move."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

import click

from rowlock_cli.commands.info import or_unknown
from rowlock_cli.context import client_here, in_operator, queue_named
from rowlock_cli.options import cluster_options, output_option
from rowlock_cli.terminal.json_text import to_line
from rowlock_cli.terminal.tables import table
from rowlock_client import Client, ClientError, Cursor
from rowlock_client.queries import database_now, may_read_tables
from rowlock_client.stats import queue_stats, runners
from rowlock_client.text import age

Tick = dict[str, Any]
_POD_TICKS = 600
"""A look inside the pod ends by itself after so many: one whose watcher was cut off must not stay for
ever.
"""


@click.command(
    "monitor",
    epilog="Exit codes: 0 ended by Ctrl-C, --once or --ticks, 1 failed at the first look, 2 wrong usage.",
)
@click.option("--queue", help="Only this work queue.")
@click.option(
    "--interval",
    "interval_seconds",
    type=click.FloatRange(0.2, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
@click.option("--once", is_flag=True, help="One look.")
@click.option("--ticks", type=click.IntRange(min=1), help="So many looks, then end.")
@output_option
@cluster_options
def monitor(queue: str | None, interval_seconds: float, once: bool, ticks: int | None, output: str) -> None:
    """Watch the queues move.

    Shows what waits and runs, and how many end a second (over the last 10 seconds). On a terminal the view is
    redrawn; elsewhere each look is a line a queue. With -o json each look is one line of JSON. Ctrl-C ends it
    with exit code 0.
    """
    looks = 1 if once else ticks
    if once and ticks:
        raise click.UsageError("say --once or --ticks, not both")
    live = output == "table" and looks is None and sys.stdout.isatty()
    tell = _screen if live else _json_line if output == "json" else _once if once else _lines
    if live:
        click.clear()
    # Ctrl-C is how a person ends this: no error.
    with suppress(KeyboardInterrupt):
        client = client_here()
        if client is None:
            _watch_from_outside(looks, tell if live else None)
            return
        try:
            _watch(client, queue, interval_seconds, looks, tell)
        finally:
            client.close()


def _watch(
    client: Client,
    queue: str | None,
    interval_seconds: float,
    looks: int | None,
    tell: Callable[[Tick], None],
) -> None:
    with client.transaction() as cursor:
        full = queue_named(cursor, queue) if queue else None
    count, first = 0, time.monotonic()
    while True:
        try:
            with client.transaction() as cursor:
                tick = look(cursor, full)
        except ClientError as error:
            if count == 0:
                raise
            # A database that is away is when one watches; the next look connects anew.
            client.close()
            tick = {"error": str(error)}
        tell(tick)
        count += 1
        if count == looks:
            return
        time.sleep(max(0.0, first + count * interval_seconds - time.monotonic()))


def _watch_from_outside(looks: int | None, tell: Callable[[Tick], None] | None) -> None:
    lines = _Lines(tell) if tell else None
    more = ["--output", "json"] if tell else []
    while True:
        code = in_operator(
            *more, *([] if looks else ["--ticks", str(_POD_TICKS)]), write=lines.add if lines else None
        )
        if code or looks:
            sys.exit(code)


class _Lines:
    """Puts the pieces of a stream together to lines of JSON."""

    def __init__(self, tell: Callable[[Tick], None]) -> None:
        self._tell, self._rest = tell, b""

    def add(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._tell(json.loads(line))


def look(cursor: Cursor, queue: str | None) -> Tick:
    """One look, as -o json prints it."""
    readable = may_read_tables(cursor)
    stats = queue_stats(cursor, queue=queue, readable=readable)
    at = database_now(cursor).astimezone(UTC)
    return {
        "at": at.isoformat(),
        "runners_alive": runners(cursor)[0] if readable else None,
        "queues": [vars(q) for q in stats],
    }


def view(tick: Tick) -> str:
    """One look as a table with a head. Pure."""
    if "error" in tick:
        return f"{tick['error']}\nTrying again; Ctrl-C ends this."
    queues = tick["queues"]
    alive = tick["runners_alive"]
    sums = ", ".join(f"{sum(q[name] for q in queues)} {name}" for name in ("waiting", "claimed", "running"))
    rate = sum(q["succeeded_per_second"] for q in queues)
    head = f"{_clock(tick)}   {sums}; {rate:.1f} done a second" + (
        "" if alive is None else f"; {alive} {'worker' if alive == 1 else 'workers'} alive"
    )
    lines = [
        [
            q["queue"] + (f" ({stopped})" if (stopped := _stopped(q)) else ""),
            str(q["waiting"]),
            or_unknown(q["blocked"]),
            str(q["claimed"]),
            str(q["running"]),
            "-" if q["oldest_seconds"] is None else age(q["oldest_seconds"]),
            f"{q['succeeded_per_second']:.1f}",
            f"{q['failed_per_second']:.1f}",
            str(q["dead"]),
        ]
        for q in queues
    ]
    queues_table = table(
        ["QUEUE", "WAITING", "BLOCKED", "CLAIMED", "RUNNING", "OLDEST", "DONE/S", "FAILED/S", "DEAD"], lines
    )
    return f"{head}\n\n{queues_table if lines else 'No queue is known yet.'}"


def _stopped(queue: dict[str, Any]) -> str:
    """Why nothing of a queue starts; empty where something may."""
    return "deleted" if queue.get("deleted") else "suspended" if queue["suspended"] else ""


def plain(tick: Tick) -> list[str]:
    """One look as lines, one a queue, each complete in itself. Pure."""
    if "error" in tick:
        return [f"Error: {tick['error']}"]
    return [
        f"{_clock(tick)} {' '.join(filter(None, (q['queue'], _stopped(q))))} waiting {q['waiting']} blocked"
        f" {or_unknown(q['blocked'])} claimed {q['claimed']} running {q['running']} oldest"
        f" {'-' if q['oldest_seconds'] is None else age(q['oldest_seconds'])} done/s"
        f" {q['succeeded_per_second']:.1f} failed/s {q['failed_per_second']:.1f} dead {q['dead']}"
        for q in tick["queues"]
    ] or [f"{_clock(tick)} no queue is known yet"]


def _clock(tick: Tick) -> str:
    return str(tick["at"])[11:19] + "Z"


def _screen(tick: Tick) -> None:
    # Home, then over what is there and clear the rest: clearing first would flicker.
    width, height = shutil.get_terminal_size()
    lines = "".join(f"{line[:width]}\x1b[K\n" for line in view(tick).splitlines()[: height - 1])
    click.echo(f"\x1b[H{lines}\x1b[J", nl=False, color=True)


def _json_line(tick: Tick) -> None:
    click.echo(to_line(tick))


def _once(tick: Tick) -> None:
    click.echo(view(tick))


def _lines(tick: Tick) -> None:
    click.echo("\n".join(plain(tick)))
