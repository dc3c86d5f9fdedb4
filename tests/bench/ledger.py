"""Runs in the ledger without a source: a queue, many runs of one or of many keys, limits."""

from typing import Any

from tests.services.postgres import connect

QUEUE = "default/bench"
# As enqueue_v1 would, many in one statement: one event a lane.
_ADD = """
with i as (
  insert into rowlock.active(id, lane, due, queue_id, source_id, source_key, fairness_key, limits, task, args)
    select rowlock.new_id(), rowlock.lane_of(%(queue)s, 0::smallint, k.key, k.limits), clock_timestamp(),
      %(queue)s, -%(queue)s, k.key || ' ' || n,
           k.key, k.limits, 'noop', '{}'
      from generate_series(1, %(each)s) n,
           (select %(prefix)s || j as key,
              case when %(limit)s::text is not null then array[%(limit)s || ':' || %(prefix)s || j]
              end as limits
              from generate_series(1, %(keys)s) j) k
    returning lane, fairness_key, limits, due)
insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
  select lane, %(queue)s, 0, min(fairness_key), max(limits), min(due), count(*) from i group by lane
"""


def new_queue(url: str) -> int:
    """The id of a queue that nobody drains."""
    with connect(url) as cur:
        cur.execute("insert into rowlock.queue(name) values (%s) returning id", (QUEUE,))
        return int(cur.fetchone()[0])


def add_runs(
    url: str, queue: int, each: int, *, keys: int = 1, prefix: str = "k", limit: str | None = None
) -> None:
    """`each` runs of each of so many keys, behind the limit `limit` (one bucket a key) where it is given."""
    values: dict[str, Any] = {"queue": queue, "each": each, "keys": keys, "prefix": prefix, "limit": limit}
    with connect(url) as cur:
        cur.execute(_ADD, values)
