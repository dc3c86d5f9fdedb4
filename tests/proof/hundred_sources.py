"""A hundred sources, twenty of them locked, slow, full or broken in turn: how long a row of a quiet one waits
for its outcome.

`python -m tests.proof.hundred_sources [--seconds N] [--turn N] [--out FILE]`
"""

import argparse
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2

from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.feeder import FeederSettings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.tables import TablesSettings
from rowlock_operator.rows.pool import Patience
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import BareRunner, Bench, dispatching, order_plan

QUIET, TROUBLED = 80, 20
FULL = [f"t{n}" for n in range(5)]  # of a queue without workers
OTHERS = [f"t{n}" for n in range(5, TROUBLED)]
EVERY_SECONDS = 0.04  # a row of one of the quiet sources
LOOK_SECONDS = 1.0  # of a slow one, for each row
_FOREVER = Patience(60_000, 60_000)
# As it was: whoever looks at a table waits for it.
WITHOUT_BUDGETS = DispatchSettings(
    tables=TablesSettings(tiers=(Patience(1_000, 60_000),)),
    feeder=FeederSettings(poll_patience=_FOREVER, glance=_FOREVER, pass_seconds=60),
)
_TABLES = """
create table lag(name text primary key, seconds float8);
create function lags(p_name text) returns bool language sql volatile as
  $$ select coalesce((select pg_sleep(seconds)::text is not null from lag where name = p_name), true) $$;
create table arrived(name text, id bigint, seconds float8);
create function arrive() returns trigger language plpgsql as $$ begin
  insert into arrived values (tg_table_name, new.id,
    extract(epoch from clock_timestamp() - new.made_at)); return new; end $$;
"""
_TABLE = """
create table {0}(id bigint generated always as identity primary key, status text not null default 'new',
  error text, body text,
                 made_at timestamptz not null default clock_timestamp());
create index on {0}(id) where status = 'new';
create trigger arrived after update on {0} for each row when (new.status = 'done') execute function arrive();
"""


@dataclass(frozen=True)
class Waits:
    """Seconds from a row to its outcome in its status column, of `rows` rows of quiet sources; `unfinished`
    never got there.
    """

    rows: int
    unfinished: int
    p50: float
    p99: float
    longest: float


def measure(
    url: str,
    redis_url: str,
    *,
    seconds: float,
    turn_seconds: float,
    calm_seconds: float = 0.0,
    settings: DispatchSettings | None = None,
) -> tuple[Waits, Waits]:
    """(without troubles, for so many seconds; with them). Every `turn_seconds` the troubled sources change
    their trouble.
    """
    with connect(url) as cursor:
        cursor.execute(_TABLES)
        for name in _names():
            cursor.execute(_TABLE.format(name))
        for name in FULL:
            cursor.execute(f"insert into {name}(body) select 'x' from generate_series(1, 1500)")
    with (
        dispatching(url, redis_url, settings=settings) as bench,
        BareRunner(url, redis_url, lambda args: None),
        connect(url) as cursor,
    ):
        _register(bench)
        wait_until(lambda: _count(cursor, "rowlock.active") >= 1000 * len(FULL), "the full ones are full", 60)
        random.seed(7)
        calm = _waits(cursor, _rows(cursor, calm_seconds)) if calm_seconds else Waits(0, 0, 0.0, 0.0, 0.0)
        number, rows, end = 0, [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with _troubles(url, number):
                rows += _rows(cursor, min(left, turn_seconds))
            number += 1
        return calm, _waits(cursor, rows)


def _rows(cursor: psycopg2.extensions.cursor, seconds: float) -> list[tuple[str, int]]:
    """Rows of the quiet sources, one after the other: (table, id)."""
    rows, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        name = f"q{random.randrange(QUIET)}"
        cursor.execute(f"insert into {name}(body) values ('x') returning id")
        rows.append((name, int((cursor.fetchone() or (0,))[0])))
        time.sleep(EVERY_SECONDS)
    return rows


def _waits(cursor: psycopg2.extensions.cursor, rows: list[tuple[str, int]]) -> Waits:
    arrived: dict[tuple[str, int], float] = {}

    def all_there() -> bool:
        cursor.execute("select name, id, seconds from arrived where name like 'q%'")
        arrived.update({(name, id_): waited for name, id_, waited in cursor.fetchall()})
        return all(row in arrived for row in rows)

    with contextlib.suppress(AssertionError):
        wait_until(all_there, "every row arrives", 10)
    waits = sorted(arrived.get(row, float("inf")) for row in rows)
    unfinished = sum(row not in arrived for row in rows)
    return Waits(len(rows), unfinished, statistics.median(waits), waits[len(waits) * 99 // 100], waits[-1])


def _names() -> list[str]:
    return [*(f"q{n}" for n in range(QUIET)), *FULL, *OTHERS]


def _count(cursor: psycopg2.extensions.cursor, table: str) -> int:
    cursor.execute(f"select count(*) from {table}")
    return int((cursor.fetchone() or (0,))[0])


def _register(bench: Bench) -> None:
    nobody = bench.dispatcher.register_queue(
        QueueEntry(0, "default/nobody", False, False, 600),
        retry={},
        succeeded_seconds=86400,
        dead_seconds=86400,
    )
    for name in _names():
        plan = order_plan(name=f"default/{name}", table=name, arguments=(("id", "id"),))
        if name in OTHERS:
            plan = replace(plan, pending=f"status = 'new' and lags('{name}')")
        queue = nobody if name in FULL else bench.queue
        bench.dispatcher.register_source(plan, [], queue_id=queue.queue_id, suspended=False)


@contextlib.contextmanager
def _troubles(url: str, number: int) -> Iterator[None]:
    """A third each of the troubled sources is locked, slow and broken, another third with each turn; then all
    are well.
    """
    third = len(OTHERS) // 3
    shifted = OTHERS[number % 3 * third :] + OTHERS[: number % 3 * third]
    locked, slow, broken = shifted[:third], shifted[third : 2 * third], shifted[2 * third :]
    holder = psycopg2.connect(url)
    with connect(url) as cursor, holder.cursor() as lock:
        cursor.execute("insert into lag select unnest(%s), %s", (slow, LOOK_SECONDS))
        for name in slow:
            cursor.execute(f"insert into {name}(body) values ('slow'), ('slow')")
        for at, name in enumerate(broken):
            cursor.execute(
                f"alter table {name} rename column status to gone"
                if at % 2
                else f"alter table {name} add constraint refuses check (status <> 'queued') not valid"
            )
            cursor.execute(f"insert into {name}(body) values ('broken')")
        for at, name in enumerate(locked):
            lock.execute(f"lock table {name} in {'access exclusive' if at % 2 else 'share'} mode")
        try:
            yield
        finally:
            holder.rollback()
            holder.close()
            cursor.execute("delete from lag")
            for at, name in enumerate(broken):
                cursor.execute(
                    f"alter table {name} rename column gone to status"
                    if at % 2
                    else f"alter table {name} drop constraint refuses"
                )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.hundred_sources", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument(
        "--turn", type=float, default=10.0, help="seconds until the troubled sources change their trouble"
    )
    parser.add_argument("--out", type=Path, help="file for the figures; printed otherwise")
    chosen = parser.parse_args()
    postgres, redis = PostgresServer(durable=True).start(), RedisServer().start()
    try:
        calm, waits = measure(
            postgres.new_database(),
            redis.url,
            seconds=chosen.seconds,
            turn_seconds=chosen.turn,
            calm_seconds=chosen.turn,
        )
    finally:
        redis.stop()
        postgres.stop()
    figures = json.dumps({"calm": vars(calm), "troubled": vars(waits)}, indent=1)
    if chosen.out:
        chosen.out.write_text(figures + "\n")
    else:
        print(figures)
    sys.exit(waits.unfinished > 0 or waits.p99 >= 0.5)


if __name__ == "__main__":
    main()
