"""Children as golden files, each with the point of its case asserted by hand, and each valid by Kubernetes'
own schema.
"""

import copy
from typing import Any

import kubernetes_validate
import pytest

from rowlock_operator.api.labels import SPEC_HASH, kube_job_name
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.deployments import build_first_worker_deployment, build_worker_deployment
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.errors import GiveUp, InvalidSpec
from tests.golden.comparison import assert_golden, cases, given
from tests.services.manifests import exit_queue, sdk_queue, work_queue

INSTALLATION = Installation(worker_image="rowlock/worker:1.0", worker_image_pull_policy="IfNotPresent")
RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def deployment(manifest: dict[str, Any]) -> dict[str, Any]:
    return build_worker_deployment(queue=WorkQueue.parse(manifest), installation=INSTALLATION)


def kube_job(manifest: dict[str, Any], **run: Any) -> dict[str, Any]:
    given_run = RunToLaunch(**{"run_id": RUN_ID, "attempt": 1, "task": "report", **run})
    return build_kube_job(queue=WorkQueue.parse(manifest), installation=INSTALLATION, run=given_run)


def pod(child: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = child["spec"]["template"]["spec"]
    return spec


def container(child: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = pod(child)["containers"][0]
    return first


def env(child: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container(child)["env"]}


@pytest.mark.parametrize("case", cases("worker_deployment"))
def test_the_worker_deployment_is_the_golden_one_and_valid(case: str) -> None:
    made = deployment(given("worker_deployment", case)["queue"])
    kubernetes_validate.validate(made, "1.37", strict=True)
    assert_golden("worker_deployment", case, made)


@pytest.mark.parametrize(
    ("kind", "case"), [(kind, case) for kind in ("sdk_job", "exit_job") for case in cases(kind)]
)
def test_the_kube_job_is_the_golden_one_and_valid(kind: str, case: str) -> None:
    loaded = given(kind, case)
    made = kube_job(loaded["queue"], **loaded["run"])
    kubernetes_validate.validate(made, "1.37", strict=True)
    assert_golden(kind, case, made)


def test_an_applied_deployment_never_holds_replicas_but_the_first_one_does() -> None:
    queue = WorkQueue.parse(work_queue(replicas=3))
    assert "replicas" not in build_worker_deployment(queue=queue, installation=INSTALLATION)["spec"]
    first = build_first_worker_deployment(queue=queue, installation=INSTALLATION, replicas=0)
    assert first["spec"]["replicas"] == 0


def test_the_hash_tells_a_changed_template_and_ignores_replicas_and_the_owner() -> None:
    def hash_of(manifest: dict[str, Any]) -> str:
        return str(deployment(manifest)["metadata"]["annotations"][SPEC_HASH])

    same = work_queue(replicas=5)
    same["metadata"]["uid"] = "other"
    assert hash_of(work_queue()) == hash_of(same)
    assert hash_of(work_queue()) != hash_of(work_queue(template={"image": "other:1"}))


def test_a_run_has_one_pod_that_is_never_repeated_by_kubernetes() -> None:
    spec = kube_job(sdk_queue())["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert {rule["action"] for rule in spec["podFailurePolicy"]["rules"]} == {"FailJob"}


@pytest.mark.parametrize(
    "manifest", [work_queue(), sdk_queue(), exit_queue()], ids=["workers", "sdk", "exit"]
)
def test_a_pod_is_restricted_where_the_user_says_nothing(manifest: dict[str, Any]) -> None:
    made = deployment(manifest) if manifest["spec"].get("mode") != "Jobs" else kube_job(manifest)
    security = container(made)["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["allowPrivilegeEscalation"] is False
    assert pod(made)["securityContext"]["runAsNonRoot"] is True
    assert pod(made)["securityContext"]["runAsUser"] == 65532
    assert pod(made)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(made)["automountServiceAccountToken"] is False
    assert pod(made)["enableServiceLinks"] is False
    assert security["readOnlyRootFilesystem"] is (manifest["spec"].get("contract") != "Exit")


def test_a_pod_sees_the_worker_key_of_the_database_secret_and_no_other() -> None:
    made = deployment(work_queue(databaseRef={"secretName": "shop", "key": "url", "workerKey": "worker"}))
    sources = {volume["name"]: volume.get("secret") for volume in pod(made)["volumes"]}
    assert sources["rowlock-database"]["secretName"] == "shop"
    assert [item["key"] for item in sources["rowlock-database"]["items"]] == ["worker"]


def test_an_image_that_is_not_ours_gets_no_secret_of_ours() -> None:
    volumes = pod(kube_job(exit_queue()))["volumes"]
    assert [volume for volume in volumes if "secret" in volume] == []


def test_a_row_reaches_any_image_as_text_that_kubernetes_does_not_expand() -> None:
    made = kube_job(
        exit_queue(), args={"price": "$5 $$ $(HOME)", "Größe-1": None, "tags": ["a"], "n": 7, "ok": True}
    )
    assert env(made)["ROW_PRICE"] == "$$5 $$$$ $$(HOME)"
    assert env(made)["ROW_GR__E_1"] == ""
    assert (env(made)["ROW_TAGS"], env(made)["ROW_N"], env(made)["ROW_OK"]) == ('["a"]', "7", "true")


def test_a_confidential_row_is_in_its_secret_and_nowhere_in_the_kube_job() -> None:
    run = RunToLaunch(run_id=RUN_ID, attempt=1, task="report", args={"iban": "confidential-text"})
    queue = WorkQueue.parse(exit_queue(rowDelivery="Secret"))
    made = build_kube_job(queue=queue, installation=INSTALLATION, run=run)
    secret = build_row_secret(queue=queue, run=run, kube_job_uid="u")
    kubernetes_validate.validate(secret, "1.37", strict=True)
    assert "confidential-text" not in str(made)
    assert secret["stringData"]["ROW_IBAN"] == "confidential-text"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "u"


def test_columns_that_would_share_a_variable_are_refused() -> None:
    with pytest.raises(GiveUp, match="'a b' and 'a-b' would both become ROW_A_B") as refused:
        kube_job(exit_queue(), args={"a-b": 1, "a b": 2})
    assert refused.value.reason == "RowNamesCollide"


@pytest.mark.parametrize(
    ("size", "by", "words"),
    [
        pytest.param(100_000, "Annotation", None, id="100 kB fit into an annotation"),
        pytest.param(204_000, "Annotation", None, id="200 KiB less the braces fit into an annotation"),
        pytest.param(205_000, "Annotation", "rowDelivery of the WorkQueue to Secret", id="more does not"),
        pytest.param(250_000, "Secret", None, id="250 kB in one column fit into a Secret"),
        pytest.param(921_600, "Secret", "key only", id="900 KiB and the braces fit nowhere"),
    ],
)
def test_a_row_too_large_for_a_pod_is_refused_with_another_way(size: int, by: str, words: str | None) -> None:
    manifest = exit_queue(rowDelivery=by)
    if words is None:
        kube_job(manifest, args={"text": "x" * size})
        return
    with pytest.raises(GiveUp, match=words) as refused:
        kube_job(manifest, args={"text": "x" * size})
    assert refused.value.reason == "RowTooLarge"


def test_a_wide_row_too_large_for_an_annotation_is_pointed_to_a_secret() -> None:
    with pytest.raises(GiveUp, match="rowDelivery of the WorkQueue to Secret"):
        kube_job(exit_queue(), args={f"c{n}": "x" * 50_000 for n in range(5)})
    kube_job(exit_queue(rowDelivery="Secret"), args={f"c{n}": "x" * 50_000 for n in range(5)})


def test_the_name_of_a_kube_job_is_the_same_for_the_same_attempt_and_a_valid_label() -> None:
    name = kube_job_name("documents-of-all-customers", RUN_ID, 12)
    assert name == "documents-of-all-cus-01890a5dac96774bbcceb302099a8057-12"
    assert len(kube_job_name("q" * 50, RUN_ID, 999_999_999)) == 63
    with pytest.raises(InvalidSpec):
        kube_job_name("q" * 50, RUN_ID, 10_000_000_000)


def test_builders_leave_their_input_alone_and_repeat_themselves() -> None:
    manifest = given("worker_deployment", "full")["queue"]
    before = copy.deepcopy(manifest)
    assert deployment(manifest) == deployment(manifest)
    assert manifest == before
