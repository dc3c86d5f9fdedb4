"""A drain as `kubectl drain` does it: through the Eviction API, towards a program that obeys SIGTERM and ends
with exit code 0.
"""

import json

import pytest

from tests.cluster.applications import exit_queue
from tests.cluster.conftest import MakeApplication
from tests.cluster.release import Release
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
POLITE = (
    'trap "printf half > /dev/termination-log; exit 0" TERM; until [ -e /tmp/go ]; do sleep 0.1; done; printf'
    " whole > /dev/termination-log"
)


def test_a_program_that_ends_well_because_it_was_drained_is_run_again(
    release: Release, application: MakeApplication
) -> None:
    release.apply(exit_queue("faults-drain", template={"args": [POLITE]}))
    app = application("drain", queue="faults-drain")
    app.insert(1)
    wait_until(lambda: app.count("running") == 1, "the run is running", 60)
    (pod,) = app.kube_pods()
    namespace = release.pods("rowlock.dev/run")[pod]["metadata"]["namespace"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    }
    release.kubectl(
        "create",
        "--raw",
        f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction",
        "-f",
        "-",
        given=json.dumps(eviction),
    )
    wait_until(lambda: app.runs("attempt") == [["2"]], "it is tried again", 60)
    assert app.runs("failure->>'class'", "failure->>'reason'") == [["infra", "Evicted"]]
    wait_until(
        lambda: app.count("running") == 1 and pod not in app.kube_pods(), "the second attempt runs", 60
    )
    app.let_go()
    wait_until(lambda: app.statuses() == {"done": 1}, "done", 60)
    assert app.runs("state", "result->>'message'") == [["succeeded", "whole"]]
    release.delete("workqueue", "faults-drain")
