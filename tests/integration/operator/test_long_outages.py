"""The API server away for longer than a lease, or silent: what a replica may not notice is what its probe
must tell.
"""

import os
import time
from collections.abc import Callable

import pytest

from tests.integration.operator.orders import every_row_ran_once
from tests.services.kube import KubeControlPlane
from tests.services.manifests import row_source
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow(70), pytest.mark.timeout(420)]
# Three minutes of silence as `make proof` has them; else every bound of it a twelfth.
SHORTER = 1 if os.environ.get("ROWLOCK_LONG_TESTS") else 12
# A stream counts as silent after 180 s of them. The short form begins up to one reopening (70 s) into them:
# it opens streams that often.
LEAST = 170 if SHORTER == 1 else (180 - 70) / SHORTER
SHORT_SILENCE = f"""
import functools
from rowlock_operator import wiring
from rowlock_operator.cluster import client, lease_store, pulse
from rowlock_operator.intake import kopf_watch
for module, bound in (
    (wiring, "CHILDREN_SILENT_SECONDS"), (wiring, "REOPENED_WITHIN_SECONDS"), (pulse, "SILENT_AFTER_SECONDS"),
    (pulse, "REFUSAL_EXPLAINS_SECONDS"),
):
    setattr(module, bound, getattr(module, bound) / {SHORTER})
lease_store.GAP_SECONDS = min(lease_store.GAP_SECONDS, 60 / {SHORTER})
given = client.ClientSettings(silence_seconds=70 / {SHORTER})
wiring.KubeClient = functools.partial(wiring.KubeClient, settings=given)
made = kopf_watch.watch_only_settings
def watch_only_settings(rng):
    settings = made(rng)
    settings.watching.inactivity_timeout /= {SHORTER}
    return settings
kopf_watch.watch_only_settings = watch_only_settings
"""


def test_after_an_outage_longer_than_the_lease_the_operator_leads_again(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    flowing.leader()
    plane.stop_api_server()
    try:
        wait_until(lambda: not flowing.operators[0].leads(), "it gave its leadership up", 30)
    finally:
        plane.start_api_server()
    add_orders(flowing.url, 20)
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows flow again", 60)
    every_row_ran_once(flowing, 40)


def test_rows_flow_on_while_the_lease_cannot_be_renewed_and_one_operator_leads_afterwards(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    """What needs no API server goes on without one: rows, warm workers, outcomes."""
    leader = flowing.leader()
    plane.stop_api_server()
    try:
        wait_until(lambda: not leader.leads(), "it gave its leadership up", 30)
        add_orders(flowing.url, 20)
        wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows flow without a leader", 20)
        assert leader.page("/livez")[0] == 200, (
            "an API server that is away is no reason to restart the operator"
        )
    finally:
        plane.start_api_server()
    flowing.leader()
    add_orders(flowing.url, 20)
    wait_until(lambda: statuses(flowing.url) == {"done": 60}, "rows flow under the new term", 60)
    every_row_ran_once(flowing, 60)


def test_a_leader_that_was_frozen_past_its_lease_dispatches_no_longer_beside_its_successor(
    flowing: OperatorRoom,
) -> None:
    """The other side of the same coin: a rival ends what a lost Lease alone does not."""
    first = flowing.leader()
    second = flowing.operator()
    first.freeze()
    wait_until(second.leads, "the other one leads", 40)
    first.thaw()
    wait_until(lambda: first.events("lease_lost"), "the first one finds out", 30)
    # One claimer, sweeper, scribe and housekeeper each: what the first one had open is closed.
    wait_until(lambda: first.events("dispatch_ended"), "it dispatches no longer", 20)
    add_orders(flowing.url, 20)
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows flow", 20)
    every_row_ran_once(flowing, 40)


def test_a_silent_api_server_stops_no_row_and_restarts_nobody(
    make_flowing: Callable[..., OperatorRoom], plane: KubeControlPlane
) -> None:
    """Nothing answers, nothing is refused: told by readiness and not by liveness, because a restart would
    only stop the rows.
    """
    flowing = make_flowing(SHORT_SILENCE)
    operator = flowing.leader()
    plane.freeze_api_server()
    frozen, rows = time.monotonic(), 20
    try:
        while operator.page("/readyz")[0] == 200:
            assert time.monotonic() - frozen < 240 / SHORTER, "readiness fails"
            assert operator.page("/livez")[0] == 200
            rows += 1
            add_orders(flowing.url, 1)
            wait_until(lambda expected=rows: statuses(flowing.url) == {"done": expected}, "rows flow", 20)
        took = time.monotonic() - frozen
        assert operator.page("/livez")[0] == 200
    finally:
        plane.thaw_api_server()
    assert took > LEAST, "sooner would call a healthy operator unready"
    assert operator.page("/livez")[0] == 200
    wait_until(lambda: operator.page("/readyz")[0] == 200, "it is ready again", 90)
    flowing.create(
        row_source(
            "more", workQueueRef={"name": "orders"}, task="count", columns=["id"], pending="amount < 6"
        )
    )
    flowing.wait_condition("RowSource", "more", status="True", deadline_seconds=90)
    assert operator.page("/livez")[0] == 200
