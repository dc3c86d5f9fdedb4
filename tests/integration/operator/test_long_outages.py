"""The API server away for longer than a lease, or silent: what a replica may not notice is what its probe must tell."""

import time

import pytest

from tests.integration.operator.orders import every_row_ran_once
from tests.services.kube import KubeControlPlane
from tests.services.operator import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(420)]


def test_after_an_outage_longer_than_the_lease_the_operator_leads_again(flowing: OperatorRoom, plane: KubeControlPlane) -> None:
    flowing.leader()
    plane.stop_api_server()
    try:
        wait_until(lambda: not flowing.operators[0].leads(), "it gave its leadership up", 30)
    finally:
        plane.start_api_server()
    add_orders(flowing.url, 20)
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows flow again", 60)
    every_row_ran_once(flowing, 40)


def test_a_frozen_api_server_is_told_by_the_liveness_probe_and_forgotten_once_it_thaws(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    operator = flowing.leader()
    assert operator.page("/livez")[0] == 200
    plane.freeze_api_server()
    frozen = time.monotonic()
    try:
        wait_until(lambda: operator.page("/livez")[0] == 503, "liveness fails", 240)
        took = time.monotonic() - frozen
    finally:
        plane.thaw_api_server()
    assert 60 < took < 200, "sooner would restart a healthy operator"
    wait_until(lambda: operator.page("/livez")[0] == 200, "liveness is well again", 60)
