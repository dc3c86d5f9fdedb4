"""A publication of all tables (Debezium, blue and green upgrades) breaks nothing."""

import pytest

from rowlock_jobs.work.migrate import migrate as migrate_domain
from tests.integration.ledger.ledger_client import QUEUE, LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, create_orders, dispatching, order_plan, statuses

pytestmark = pytest.mark.integration

WITHOUT_IDENTITY = """
    select c.relname from pg_class c
     where c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' and c.relkind in ('r', 'p')
     and c.relpersistence = 'p'
       and not (c.relreplident in ('f', 'i') or (c.relreplident = 'd' and exists (
             select from pg_index i where i.indrelid = c.oid and i.indisprimary)))
     order by 1"""


def test_every_table_of_ours_has_an_identity_also_one_of_tomorrow(
    database: str, ledger: LedgerClient
) -> None:
    migrate_domain(database)
    ledger.rows("select rowlock.partitions_v1(20)")
    assert ledger.value("select count(*) from pg_inherits where inhparent = 'rowlock.done'::regclass") == 22
    assert ledger.rows(WITHOUT_IDENTITY) == []


def test_without_an_identity_the_same_publication_stops_the_claimer(
    database: str, ledger: LedgerClient
) -> None:
    ledger.rows("alter table rowlock.inbox replica identity default")
    assert ledger.rows(WITHOUT_IDENTITY) == [("inbox",)]
    ledger.rows("create publication p for all tables")
    ledger.enqueue()
    with pytest.raises(Exception, match="does not have a replica identity"):
        ledger.claim()


def test_rows_run_retry_and_are_forgotten_beside_a_publication_of_all_tables(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=5)
    with connect(database) as cur:
        cur.execute(
            "create publication p for all tables with (publish_via_partition_root = true); create publication"
            " q for all tables"
        )
    failed: list[object] = []

    def work(args: dict[str, object]) -> None:
        if args["order_id"] == 3 and not failed:
            failed.append(args)
            raise ValueError("once")

    retry = {"app": {"limit": 1, "backoff_seconds": 0, "max_backoff_seconds": 0}}
    with dispatching(database, redis_url, retry=retry) as bench, BareRunner(database, redis_url, work):
        bench.source(order_plan(fairness_key="customer"))
        wait_until(lambda: statuses(database) == {"done": 5}, "all done")
        assert failed
        assert not bench.dispatcher.state.errors


def test_every_function_that_updates_or_deletes_works_beside_it(ledger: LedgerClient) -> None:
    ledger.rows("create publication p for all tables")
    ledger.rows("select rowlock.set_limit_v1('site', 5, 10, 10)")
    dead, canceled, lost, waiting = (ledger.enqueue(limits=["site:a"], key=f"k{i}") for i in range(4))
    ledger.claim(3)
    for run in (dead, canceled, lost):
        ledger.start(run)
    ledger.finish(dead, outcome="failed", failure={"class": "input"})
    ledger.rows("select rowlock.cancel_v1(array[%s]::uuid[])", canceled)
    ledger.finish(canceled, outcome="canceled")
    ledger.lapse()
    ledger.sweep()
    assert ledger.rows("select rowlock.requeue_v1(array[%s]::uuid[])", dead)
    ledger.rows("select rowlock.set_aside(%s, 'Odd', 'odd')", waiting)
    ledger.rows("select rowlock.cancel_waiting_v1(%s)", QUEUE)
    for call in (
        "relane_v1()",
        "drop_limits_v1('site', '{}')",
        "forget_v1()",
        "retain_v1()",
        "partitions_v1()",
    ):
        ledger.rows(f"select rowlock.{call}")
    assert ledger.value("select rowlock.purge_v1(%s, '{dead,canceled}')", QUEUE) == 4
    ledger.rows("update rowlock.queue set suspended = true; delete from rowlock.runner where id > 0")
