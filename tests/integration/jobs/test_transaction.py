"""run.transaction(): a task's writes and the acceptance of its outcome are one commit."""

import pytest

from tests.integration.jobs.stage import Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def written(stage: Stage, run_id: str) -> int:
    return int(stage.sql("select count(*) from written where run = %s", run_id)[0][0])


def test_writes_become_visible_together_with_the_finish(stage: Stage) -> None:
    stage.worker()
    release = stage.folder / "go"
    (run_id,) = stage.run("writes", release=str(release))
    stage.wait_note("wrote")
    assert written(stage, run_id) == 0
    release.touch()
    assert stage.wait_state(run_id, "succeeded")["result"] == {"written": 1}
    assert written(stage, run_id) == 1
    # One transaction wrote both rows.
    same = (
        "select w.xmin::text = d.xmin::text from written w join rowlock.done d on d.id = w.run where w.run"
        " = %s"
    )
    assert stage.sql(same, run_id) == [(True,)]


def test_a_stale_runners_writes_vanish(stage: Stage) -> None:
    worker = stage.worker()
    release = stage.folder / "go"
    (run_id,) = stage.run("writes", release=str(release))
    stage.wait_note("wrote")
    # Somebody else holds the attempt now; the worker does not know yet.
    stage.sql("update rowlock.active set token = gen_random_uuid() where id = %s", run_id)
    release.touch()
    worker.wait_event("run_stale")
    assert written(stage, run_id) == 0
    assert stage.look(run_id)["state"] == "running"


def test_a_task_that_raises_leaves_no_writes(stage: Stage) -> None:
    stage.worker()
    (run_id,) = stage.run("writes", **{"raise": True})
    wait_until(lambda: stage.look(run_id)["failure"], "failed")
    assert stage.look(run_id)["failure"]["reason"] == "Retry"
    assert written(stage, run_id) == 0


def test_a_swallowed_error_inside_the_transaction_fails_the_run_instead_of_losing_its_writes(
    stage: Stage,
) -> None:
    stage.worker()
    (run_id,) = stage.run("writes", swallow=True)
    wait_until(lambda: stage.look(run_id)["failure"], "failed")
    assert written(stage, run_id) == 0
    good = stage.run("writes")  # and the next run in the same child starts clean
    stage.wait_ended(good)
    assert written(stage, good[0]) == 1


def test_a_fork_that_comes_back_neither_commits_nor_rolls_back_what_its_parent_wrote(stage: Stage) -> None:
    stage.worker()
    for ending, count in (({}, 1), ({"raise": True}, 0)):
        (run_id,) = stage.run("writes", fork=True, **ending)
        found = wait_until(
            lambda run_id=run_id: stage.look(run_id)["result"] or stage.look(run_id)["failure"], "it ended"
        )
        assert found == {"written": 1} if count else found["reason"] == "Retry"
        assert written(stage, run_id) == count


def test_an_ordinary_connection_commits_at_the_end_of_its_block(stage: Stage) -> None:
    stage.worker()
    ids = stage.run("reads", 2)
    stage.wait_ended(ids)
    assert [stage.look(run_id)["result"] for run_id in ids] == [{"inner_sees": 0}, {"inner_sees": 0}]
    assert written(stage, ids[0]) == 1


def test_a_run_that_loses_its_runner_after_an_effect_began_is_unknown_and_not_retried(stage: Stage) -> None:
    worker = stage.worker()
    (run_id,) = stage.run("effect", release=str(stage.folder / "never"))
    stage.wait_note("began true")
    worker.kill()
    stage.sql("update rowlock.runner set lease_until = clock_timestamp() where id > 0")
    stage.sweep()
    assert stage.look(run_id)["state"] == "unknown"


def test_an_effect_that_ended_leaves_an_ordinary_run(stage: Stage) -> None:
    stage.worker()
    (run_id,) = stage.run("effect")
    assert stage.wait_state(run_id, "succeeded")["result"] == {"began": True, "ended": True}


def test_a_canceled_run_may_not_begin_an_effect(stage: Stage) -> None:
    stage.worker()
    release = stage.folder / "go"
    first, second = stage.enqueue("hold", release=str(release)) + stage.enqueue("effect")
    stage.dispatch(2)
    stage.wait_note("begin")
    stage.sql("update rowlock.active set cancel = 'Canceled' where id = %s", second)
    release.touch()
    stage.wait_ended([first, second])
    assert len(stage.notes("began false")) == 1
