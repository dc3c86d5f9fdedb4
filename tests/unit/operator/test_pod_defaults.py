"""What every pod of ours gets beside what its WorkQueue asks: room, bounds, labels, and a node that may
go.
"""

from decimal import Decimal
from typing import Any

import pytest

from rowlock_operator.api.pod_template import Resources
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.deployments import build_worker_deployment
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job
from rowlock_operator.desired.resources import merged_resources, quantity
from rowlock_operator.desired.runs import RunToLaunch
from tests.services.manifests import exit_queue, sdk_queue, work_queue

Manifest = dict[str, Any]

RUN = RunToLaunch(run_id="01890a5d-ac96-774b-bcce-b302099a8057", attempt=1, task="report")
EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
KINDS = pytest.mark.parametrize("queue", [work_queue, sdk_queue, exit_queue], ids=["workers", "sdk", "exit"])
SCRATCH = {
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
}


def child(manifest: Manifest, **installation: Any) -> Manifest:
    queue, given = (
        WorkQueue.parse(manifest),
        Installation(worker_image="registry.example/worker:1", **installation),
    )
    if queue.spec.is_workers:
        return build_worker_deployment(queue=queue, installation=given)
    return build_kube_job(queue=queue, installation=given, run=RUN)


def with_template(queue: Any, **fields: Any) -> Manifest:
    return dict(queue(template={**(queue()["spec"].get("template") or {}), **fields}))


def pod(made: Manifest) -> Manifest:
    spec: Manifest = made["spec"]["template"]["spec"]
    return spec


def evictable(made: Manifest) -> list[str]:
    named = made["spec"]["template"]["metadata"].get("annotations", {}).get(EVICTABLE)
    return named.split(",") if named else []


@KINDS
@pytest.mark.parametrize(
    ("template", "local"),
    [
        pytest.param({}, [], id="nothing of the user's"),
        pytest.param(SCRATCH, ["scratch"], id="an emptyDir of the user's"),
        pytest.param(
            {"volumes": [{"name": "fast", "emptyDir": {"medium": "Memory"}}]},
            [],
            id="one in memory keeps no node",
        ),
        pytest.param(
            {"volumes": [{"name": "host", "hostPath": {"path": "/srv"}}]},
            [],
            id="a folder of the node is the user's word",
        ),
        pytest.param(
            SCRATCH | {"metadata": {"annotations": {EVICTABLE: "injected, scratch"}}},
            ["injected", "scratch"],
            id="the user names some",
        ),
    ],
)
def test_no_emptydir_of_a_pod_keeps_its_node(queue: Any, template: Manifest, local: list[str]) -> None:
    made = child(with_template(queue, **template))
    own = [volume["name"] for volume in pod(made)["volumes"] if volume["name"] == "rowlock-tmp"]
    assert sorted(evictable(made)) == sorted([*local, *own])
    on_disk = {
        v["name"] for v in pod(made)["volumes"] if "emptyDir" in v and v["emptyDir"].get("medium") != "Memory"
    }
    assert on_disk <= set(evictable(made))


def test_tmp_is_bounded_by_the_installation_and_a_mount_of_the_users_takes_its_place() -> None:
    def tmp(made: Manifest) -> list[Manifest]:
        return [volume["emptyDir"] for volume in pod(made)["volumes"] if "emptyDir" in volume]

    assert tmp(child(work_queue())) == [{"sizeLimit": "1Gi"}]
    assert tmp(child(sdk_queue(), tmp_size="20Gi")) == [{"sizeLimit": "20Gi"}]
    own = {
        "volumes": [{"name": "own", "emptyDir": {"sizeLimit": "3Gi"}}],
        "volumeMounts": [{"name": "own", "mountPath": "/tmp/"}],
    }
    assert tmp(child(with_template(work_queue, **own))) == [{"sizeLimit": "3Gi"}]


@KINDS
def test_a_container_has_requests_and_limits_where_nobody_says_so(queue: Any) -> None:
    (container,) = pod(child(queue()))["containers"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    (container,) = pod(child(queue(), resources={}))["containers"]
    assert "resources" not in container


DEFAULTS = {
    "requests": {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
    "limits": {"cpu": "4", "memory": "2Gi"},
}


@pytest.mark.parametrize(
    ("given", "name", "request_", "limit"),
    [
        pytest.param({}, "memory", "64Mi", "2Gi", id="nothing said"),
        pytest.param(
            {"requests": {"memory": "512Mi"}},
            "memory",
            "512Mi",
            "2Gi",
            id="a request below the default limit",
        ),
        pytest.param(
            {"requests": {"memory": "8Gi"}}, "memory", "8Gi", "8Gi", id="a request above it raises it"
        ),
        pytest.param(
            {"requests": {"memory": "2147483649"}}, "memory", "2147483649", "2147483649", id="by one byte"
        ),
        pytest.param({"requests": {"cpu": 16}}, "cpu", 16, 16, id="a number"),
        pytest.param({"requests": {"cpu": "4000m"}}, "cpu", "4000m", "4", id="the same in other words"),
        pytest.param(
            {"limits": {"memory": "32Mi"}},
            "memory",
            None,
            "32Mi",
            id="a limit alone: Kubernetes asks for as much",
        ),
        pytest.param({"limits": {"cpu": "250m"}}, "memory", "64Mi", "2Gi", id="another resource"),
        pytest.param(
            {"requests": {"memory": "a lot"}},
            "memory",
            "a lot",
            None,
            id="what the API server will refuse is left to it",
        ),
        pytest.param(
            {"limits": {"nvidia.com/gpu": 1}},
            "nvidia.com/gpu",
            None,
            1,
            id="one that the installation does not know",
        ),
        pytest.param(
            {"requests": {"ephemeral-storage": "10G"}},
            "ephemeral-storage",
            "10G",
            None,
            id="ephemeral storage",
        ),
    ],
)
def test_the_users_words_stand_and_never_meet_a_limit_below_them(
    given: Manifest, name: str, request_: Any, limit: Any
) -> None:
    merged = merged_resources(Resources.model_validate(given), DEFAULTS)
    assert (merged.get("requests", {}).get(name), merged.get("limits", {}).get(name)) == (request_, limit)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", "0.1"),
        ("1.5", "1.5"),
        (2, "2"),
        ("2Ki", "2048"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("5n", "5E-9"),
        (".5", "0.5"),
        ("1.", "1"),
        ("12E3", "12000"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: object, value: str) -> None:
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "one", "1e", "--1", None])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert quantity(text) is None


@KINDS
def test_labels_and_annotations_of_the_installation_reach_objects_and_pods_and_the_queues_own_win(
    queue: Any,
) -> None:
    own = {"labels": {"team": "shop"}, "annotations": {"note": "mine"}}
    made = child(
        with_template(queue, metadata=own),
        labels={"team": "all", "cost-centre": "42", "rowlock.dev/work-queue": "x"},
        pod_labels={"zone": "b"},
        pod_annotations={"note": "all", "sidecar.istio.io/inject": "false"},
    )
    name = made["metadata"]["labels"]["rowlock.dev/work-queue"]
    assert name != "x"
    template = made["spec"]["template"]["metadata"]
    for labels in (made["metadata"]["labels"], template["labels"]):
        assert (labels["team"], labels["cost-centre"], labels["rowlock.dev/work-queue"]) == (
            "shop",
            "42",
            name,
        )
    assert template["labels"]["zone"] == "b"
    assert (template["annotations"]["note"], template["annotations"]["sidecar.istio.io/inject"]) == (
        "mine",
        "false",
    )


@KINDS
def test_spreading_counts_the_queues_own_pods_unless_others_are_named(queue: Any) -> None:
    zone = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "minDomains": 2,
    }
    node = {
        "maxSkew": 2,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"a": "b"}},
    }
    made = child(
        with_template(
            queue, topologySpreadConstraints=[zone, node], schedulerName="volcano", runtimeClassName="gvisor"
        )
    )
    spread = pod(made)["topologySpreadConstraints"]
    assert (
        spread[0]["labelSelector"]["matchLabels"].items()
        <= made["spec"]["template"]["metadata"]["labels"].items()
    )
    assert spread[0]["labelSelector"]["matchLabels"].keys() == {
        "rowlock.dev/work-queue",
        "app.kubernetes.io/component",
    }
    assert spread[0]["minDomains"] == 2
    assert spread[1] == node
    assert (pod(made)["schedulerName"], pod(made)["runtimeClassName"]) == ("volcano", "gvisor")


def test_only_an_image_of_somebody_elses_may_ask_for_its_own_grace() -> None:
    assert pod(child(exit_queue()))["terminationGracePeriodSeconds"] == 30
    assert (
        pod(child(with_template(exit_queue, terminationGracePeriodSeconds=900)))[
            "terminationGracePeriodSeconds"
        ]
        == 900
    )
    assert (
        pod(child(sdk_queue(limits={"softSeconds": 5, "hardSeconds": 10})))["terminationGracePeriodSeconds"]
        == 40
    )


def test_a_container_says_again_that_it_is_not_root_unless_the_user_wants_root() -> None:
    (container,) = pod(child(exit_queue()))["containers"]
    assert container["securityContext"]["runAsNonRoot"] is True
    (container,) = pod(child(with_template(exit_queue, podSecurityContext={"runAsNonRoot": False})))[
        "containers"
    ]
    assert "runAsNonRoot" not in container["securityContext"]
