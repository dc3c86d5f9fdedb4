"""How much waits in a queue: what cannot be told of one queue is told of all others."""

from dataclasses import replace

import pytest

from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import dispatching

pytestmark = pytest.mark.integration


def test_a_depth_that_cannot_be_read_is_its_own_queues_trouble(database: str, redis_url: str) -> None:
    with dispatching(database, redis_url) as bench:
        entry = replace(bench.queue, queue_id=0, suspended=True)
        one, two = (
            bench.dispatcher.register_queue(
                replace(entry, name=name), retry={}, succeeded_seconds=60, dead_seconds=60
            ).queue_id
            for name in ("default/one", "default/two")
        )
        state = bench.dispatcher.state
        with connect(database) as cur:
            for queue in ("default/one", "default/two"):
                cur.execute(
                    "select rowlock.enqueue_v1(p_queue => %s, p_task => 'process', p_args => '{}')", (queue,)
                )
            wait_until(
                lambda: {id_ for id_, depth in state.depths.items() if depth.waiting} == {one, two},
                "both are counted",
            )
            # A moment from which no day can be subtracted: nobody can write it through the ledger's
            # functions.
            cur.execute("update rowlock.active set created_at = '4714-11-24 BC' where queue_id = %s", (one,))
        wait_until(lambda: "timestamp out of range" in state.depths_unknown.get(one, ""), "why is told")
        assert (state.depths[two].waiting, one in state.depths, two in state.depths_unknown) == (
            1,
            False,
            False,
        )
        age = state.depth_age_seconds()
        assert age is not None
        assert age < 5, "what is told is of now"
