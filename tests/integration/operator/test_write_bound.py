"""Large rows of contract Exit: what their kube jobs put into the API server is bounded and told, and other
queues go on.
"""

import pytest

from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROW_BYTES, ROWS = 198 * 1024, 24
TABLE = """
create table {0}(id bigint generated always as identity primary key, status text not null default 'new',
  error text, body text);
create index on {0}(id) where status = 'new';
insert into {0}(body) select repeat(md5(n::text), {1}) from generate_series(1, {2}) n
"""


def queue_of(room: OperatorRoom, name: str, *, rows: int, row_bytes: int) -> None:
    """A table, its RowSource and an Exit queue of its own; there is no kubelet, so no kube job ends."""
    room.sql(TABLE.format(name, row_bytes // 32, rows))
    room.create(exit_queue(name, parallelism=ROWS))
    source = {"table": name, "task": "resize", "columns": ["id", "body"], "statusColumn": STATUS_COLUMN}
    room.create(row_source(name, workQueueRef={"name": name}, **source))


def made_of(room: OperatorRoom, name: str) -> int:
    return sum(1 for job in room.kube_jobs() if job["metadata"]["labels"]["rowlock.dev/work-queue"] == name)


def test_large_rows_wait_for_the_bound_in_their_place_and_other_queues_go_on(room: OperatorRoom) -> None:
    """32 MiB in five minutes, 8 of them at once: three rows of 198 KiB, and one more every half minute."""
    room.operator(rowlock_queue_write_mib="32")
    queue_of(room, "large", rows=ROWS, row_bytes=ROW_BYTES)
    told = room.wait_condition("WorkQueue", "large", "Throttled", status="True", reason="AtWriteBound")
    assert "This WorkQueue may put 32 MiB" in told["message"]
    assert room.condition("WorkQueue", "large")["status"] == "True", "what waits will run"
    queue_of(room, "short", rows=ROWS, row_bytes=64)
    wait_until(lambda: made_of(room, "short") == ROWS, "the short rows have their kube jobs", 30)
    assert room.condition("WorkQueue", "short", "Throttled").get("reason") != "AtWriteBound"
    assert 3 <= made_of(room, "large") <= 6
    assert {state for _, state, *_ in room.runs()} == {"launching"}, (
        "a claim keeps its place: none was given back"
    )


def test_without_the_bound_all_are_made_at_once(room: OperatorRoom) -> None:
    """Negative twin."""
    room.operator(rowlock_queue_write_mib="0", rowlock_total_write_mib="0")
    queue_of(room, "large", rows=ROWS, row_bytes=ROW_BYTES)
    wait_until(lambda: made_of(room, "large") == ROWS, "all kube jobs are made", 30)
    assert room.condition("WorkQueue", "large", "Throttled").get("reason") == "NotThrottled"
