"""A row is in a kube job once: the file holds it all, and short columns are variables, too."""

import json
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import (
    ALL_VARIABLES_BYTES,
    ANNOTATION_BYTES,
    VARIABLE_BYTES,
    RunToLaunch,
    row_variables,
)
from rowlock_operator.errors import GiveUp
from tests.services.manifests import exit_queue

Manifest = dict[str, Any]
INSTALLATION = Installation(worker_image="rowlock/worker:1.0")


def run(**args: Any) -> RunToLaunch:
    return RunToLaunch(run_id="01890a5d-ac96-774b-bcce-b302099a8057", attempt=1, task="resize", args=args)


def kube_job(row: RunToLaunch, installation: Installation = INSTALLATION, **spec: Any) -> Manifest:
    return build_kube_job(queue=WorkQueue.parse(exit_queue(**spec)), installation=installation, run=row)


def environment(made: Manifest) -> dict[str, str]:
    (container,) = made["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def row_file(made: Manifest) -> Any:
    return json.loads(made["spec"]["template"]["metadata"]["annotations"]["rowlock.dev/row"])


def texts(part: Any) -> int:
    """Bytes of all texts in a manifest, as etcd keeps them."""
    if isinstance(part, dict):
        return sum(len(key) + texts(value) for key, value in part.items())
    if isinstance(part, list):
        return sum(texts(each) for each in part)
    return len(part.encode()) if isinstance(part, str) else 8


LARGE: dict[str, Any] = {
    "a text of 198 KiB": {"body": "x" * 198 * 1024},
    "text of two bytes a letter": {"body": "ü" * 90_000},
    "text that JSON and Kubernetes escape": {"body": '$"\\\n' * 20_000},
    "a document": {"body": {"pages": ["page"] * 20_000}},
    "wide: a thousand columns": {f"column_{n:04}": "y" * 100 for n in range(1000)},
    "fifty columns of 4 KiB": {f"c{n}": "z" * 4000 for n in range(50)},
    "small ones beside a large one": {"id": 7, "customer": "Ada", "body": "x" * 150_000},
}


@pytest.mark.parametrize("args", LARGE.values(), ids=LARGE.keys())
def test_a_large_row_is_in_the_kube_job_once(args: Manifest) -> None:
    made = kube_job(run(**args))
    row = len(made["spec"]["template"]["metadata"]["annotations"]["rowlock.dev/row"].encode())
    assert row_file(made) == args
    assert texts(made) < row + ALL_VARIABLES_BYTES + 8192, "the row once, and what is short twice"
    left_out = set(environment(made)["ROWLOCK_ROW_FILE_ONLY"].split(","))
    variables = {f"ROW_{name.upper()}" for name in args}
    assert left_out == {"*"} or left_out == variables - environment(made).keys()


def test_a_text_of_198_kib_is_not_a_variable_and_its_small_neighbours_are() -> None:
    made = kube_job(run(id=7, customer="Ada", body="x" * 198 * 1024, nothing=None))
    assert json.dumps(made).count("x" * 1000) == 198 * 1024 // 1000
    seen = environment(made)
    assert (seen["ROW_ID"], seen["ROW_CUSTOMER"], seen["ROW_NOTHING"]) == ("7", "Ada", "")
    assert seen["ROWLOCK_ROW_FILE_ONLY"] == "ROW_BODY"


@pytest.mark.parametrize(
    ("size", "given"),
    [(VARIABLE_BYTES, True), (VARIABLE_BYTES + 1, False), (0, True)],
    ids=["at the bound", "one byte more", "nothing"],
)
def test_the_bound_of_a_variable_is_counted_in_bytes(size: int, given: bool) -> None:
    assert ("ROW_BODY" in row_variables(run(body="x" * size)).given) is given
    assert ("ROW_BODY" in row_variables(run(body="ü" * (size // 2) + "x" * (size % 2))).given) is given


def test_of_many_variables_the_longest_are_left_out_and_which_depends_on_nothing_else() -> None:
    args = {"id": 1, **{f"c{n}": "x" * (1000 + n) for n in range(30)}}
    made = row_variables(run(**args))
    assert "ROW_ID" in made.given
    assert sum(len(text.encode()) for text in made.given.values()) <= ALL_VARIABLES_BYTES
    shortest_out = min(int(name.removeprefix("ROW_C")) for name in made.in_file_only)
    assert made.in_file_only == tuple(sorted(f"ROW_C{n}" for n in range(shortest_out, 30)))
    assert row_variables(run(**dict(reversed(args.items())))) == made


def test_a_row_of_short_columns_has_all_its_variables_and_names_none() -> None:
    seen = environment(kube_job(run(id=7, customer="Ada")))
    assert {"ROW_ID", "ROW_CUSTOMER"} <= seen.keys()
    assert "ROWLOCK_ROW_FILE_ONLY" not in seen


def test_a_large_row_is_in_its_secret_once_and_not_in_the_kube_job() -> None:
    row, queue = run(id=7, body="x" * 800_000), WorkQueue.parse(exit_queue(rowDelivery="Secret"))
    made = build_kube_job(queue=queue, installation=INSTALLATION, run=row)
    secret = build_row_secret(queue=queue, run=row, kube_job_uid="u")
    assert len(json.dumps(made)) < 8192
    assert secret["stringData"].keys() == {"row.json", "ROW_ID"}
    assert len(json.dumps(secret)) < 810_000
    named = {
        one["valueFrom"]["secretKeyRef"]["key"]
        for one in _env(made)
        if "secretKeyRef" in one.get("valueFrom", {})
    }
    assert named == {"ROW_ID"}, "a key that the Secret does not have would keep the pod from starting"


def _env(made: Manifest) -> list[Manifest]:
    env: list[Manifest] = made["spec"]["template"]["spec"]["containers"][0]["env"]
    return env


@pytest.mark.parametrize("whose", ["the queue's", "the installation's"])
def test_other_annotations_take_their_room_and_the_refusal_is_of_the_one_run(whose: str) -> None:
    large = {f"note-{n}": "n" * 4000 for n in range(30)}
    spec: Manifest = {}
    installation = (
        Installation(worker_image="x:1", pod_annotations=large)
        if whose == "the installation's"
        else INSTALLATION
    )
    if whose == "the queue's":
        spec = {"template": {"image": "x:1", "metadata": {"annotations": large}}}
    with pytest.raises(GiveUp, match="rowDelivery of the WorkQueue to Secret") as refused:
        kube_job(run(body="x" * (ANNOTATION_BYTES - 1000)), installation, **spec)
    assert refused.value.reason == "RowTooLarge"
    made = kube_job(run(body="x" * 100_000), installation, **spec)
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert sum(len(key) + len(value.encode()) for key, value in annotations.items()) <= 240 * 1024
