"""Negative twins: with a guard switched off, the invariants of this folder see the damage. They are worth
nothing if they do not.
"""

import pytest

from tests.integration.crash.stage import CrashStage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

ROWS = 40

# The start fence without its guards: neither the state nor the attempt is asked for, so every copy of an id
# is handed out.
UNGUARDED_START = """
create or replace function rowlock.start_v1(p_ids uuid[], p_attempts int[], p_runner bigint, p_token uuid)
returns table(id uuid, attempt int, task text, args jsonb, queue text, source_key text, tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with begun as (
    update rowlock.active r set state = 'running', runner = p_runner, token = p_token,
      started_at = clock_timestamp()
      from unnest(p_ids, p_attempts) w(id, attempt) where r.id = w.id
    returning r.id, w.attempt, r.task, r.args, r.queue_id, r.source_key)
  select b.id, b.attempt, b.task, b.args, (select q.name from rowlock.queue q where q.id = b.queue_id),
    b.source_key, 0 from begun b;
end $$
"""


def test_without_start_fence_and_dedupe_an_attempt_is_seen_to_start_twice(stage: CrashStage) -> None:
    stage.sql(UNGUARDED_START)
    take_both_copies_at_once(stage)
    assert len(stage.journal.lines()) == 2
    assert any("started twice" in violation for violation in stage.violations(1))


def test_with_the_start_fence_the_same_copies_start_once(stage: CrashStage) -> None:
    take_both_copies_at_once(stage)
    stage.wait_done(1, 20)
    assert stage.violations(1) == []


def take_both_copies_at_once(stage: CrashStage) -> None:
    """One id is in Redis twice; two workers take a copy each, while the other's would still run."""
    stage.orders(1)
    first = stage.dispatcher(dedupe_of_push=False, stale_seconds=600.0)
    wait_until(lambda: stage.copies() == 1, "it is handed out")
    stage.stop_dispatcher(first)
    # A claim that was taken back too soon.
    stage.sql("update rowlock.active set state = 'pending', due = clock_timestamp(), claimed_at = null")
    stage.sql("update rowlock.lane set at = clock_timestamp(), floor = '-infinity'")
    stage.dispatcher(dedupe_of_push=False, stale_seconds=600.0)
    wait_until(lambda: stage.copies() == 2, "it is there twice")
    for _ in range(2):
        stage.worker(ready=False, rowlock_test_task_seconds="4")
    wait_until(lambda: stage.copies() == 0 and stage.idle(), "both copies were taken", 30)


def test_without_a_sweeper_rows_of_a_lost_worker_are_seen_to_stay_unfinished(stage: CrashStage) -> None:
    stage.orders(ROWS)
    stage.dispatcher(sweeping=False)
    lost = stage.worker(rowlock_test_task_seconds="60")
    wait_until(lambda: stage.journal.lines(), "it has begun a run")
    lost.kill()
    stage.lapse(lost)
    stage.worker()
    wait_until(
        lambda: stage.sql("select count(*) from rowlock.done") == [(ROWS - 1,)], "all others are done", 20
    )
    wait_until(lambda: stage.sql("select count(*) from rowlock.outbox") == [(0,)], "and told")
    assert stage.violations(ROWS)[0].startswith("unfinished rows")
