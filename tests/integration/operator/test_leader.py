"""Two replicas of the operator as processes: one leads, the other one goes on, and no row notices more than a
pause.
"""

import time

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE, every_row_ran_once
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def flowing(room: OperatorRoom) -> None:
    """Rows, a worker, two operators, and some rows done."""
    create_orders(room.url, rows=200)
    room.create(QUEUE)
    room.create(SOURCE)
    room.operator(ready=False)
    room.operator(ready=False)
    room.worker("orders", ready=False)
    wait_until(lambda: statuses(room.url) == {"done": 200}, "the first rows are done", 60)


def test_one_leads_and_after_its_kill_the_other_goes_on_within_twenty_seconds(room: OperatorRoom) -> None:
    flowing(room)
    leader = room.leader()
    assert [o.leads() for o in room.operators].count(True) == 1
    holder = room.lease_holder()
    add_orders(room.url, 100)
    leader.kill()
    killed = time.monotonic()
    add_orders(room.url, 100)
    wait_until(lambda: statuses(room.url) == {"done": 400}, "all rows are done", 40)
    assert time.monotonic() - killed < 20
    assert room.lease_holder() != holder
    every_row_ran_once(room, 400)


def test_an_orderly_end_hands_over_long_before_the_lease_would_lapse(room: OperatorRoom) -> None:
    flowing(room)
    leader = room.leader()
    add_orders(room.url, 100)
    leader.terminate()
    asked = time.monotonic()
    add_orders(room.url, 100)
    wait_until(lambda: statuses(room.url) == {"done": 400}, "all rows are done", 40)
    took = time.monotonic() - asked
    assert leader.wait() == 0
    assert took < 8
    every_row_ran_once(room, 400)


def test_a_leader_that_was_frozen_finds_itself_replaced_and_writes_nothing_twice(room: OperatorRoom) -> None:
    flowing(room)
    frozen = room.leader()
    frozen.freeze()
    add_orders(room.url, 100)
    wait_until(lambda: statuses(room.url) == {"done": 300}, "the other one goes on", 40)
    frozen.thaw()
    add_orders(room.url, 100)
    wait_until(lambda: statuses(room.url) == {"done": 400}, "all rows are done", 40)
    wait_until(lambda: not frozen.alive or not frozen.leads(), "the replaced one knows", 30)
    every_row_ran_once(room, 400)
