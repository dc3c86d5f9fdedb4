"""Whose a child is."""

from typing import Any

import pytest

from rowlock_operator.api.labels import queue_of
from rowlock_operator.decide.ownership import Whose, whose
from rowlock_operator.observed.owners import Owner, controller_of

OURS = Owner("rowlock.dev", "WorkQueue", "orders", "u2")


@pytest.mark.parametrize(
    ("labelled", "controller", "answer"),
    [
        pytest.param("orders", OURS, Whose.OURS, id="ours"),
        pytest.param("orders", None, Whose.LEFT_BEHIND, id="orphaned"),
        pytest.param(
            "orders", Owner("rowlock.dev", "WorkQueue", "orders", "u1"), Whose.LEFT_BEHIND, id="restored"
        ),
        pytest.param(
            "orders", Owner("rowlock.dev", "WorkQueue", "other", "u1"), Whose.OTHERS, id="another WorkQueue's"
        ),
        pytest.param(
            "orders", Owner("argoproj.io", "Rollout", "orders", "u1"), Whose.OTHERS, id="another controller's"
        ),
        pytest.param(
            "orders", Owner("example.org", "WorkQueue", "orders", "u1"), Whose.OTHERS, id="another group's"
        ),
        pytest.param(None, None, Whose.OTHERS, id="without our labels"),
        pytest.param("other", None, Whose.OTHERS, id="labelled for another queue"),
        pytest.param("other", OURS, Whose.OTHERS, id="labelled for another queue and owned by us"),
    ],
)
def test_a_child_is_taken_over_only_where_it_is_ours_by_label_and_its_old_owner_is_gone(
    labelled: str | None, controller: Owner | None, answer: Whose
) -> None:
    assert whose(work_queue="orders", uid="u2", labelled=labelled, controller=controller) is answer


def child(labels: dict[str, str] | None, references: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"metadata": {"name": "orders-worker", "labels": labels, "ownerReferences": references}}


def test_owner_and_labels_are_read_from_metadata_of_any_shape() -> None:
    reference = {
        "apiVersion": "rowlock.dev/v1beta1",
        "kind": "WorkQueue",
        "name": "orders",
        "uid": "u2",
        "controller": True,
    }
    plain = {key: value for key, value in reference.items() if key != "controller"}
    assert controller_of(child(None, [plain, reference])) == OURS
    assert controller_of(child(None, [plain])) is None
    assert controller_of(child(None, None)) is None
    assert controller_of(child(None, [{"controller": True}])) == Owner("", "", "", "")
    managed = {"app.kubernetes.io/managed-by": "rowlock"}
    assert queue_of(child({**managed, "rowlock.dev/work-queue": "orders"}, None)) == "orders"
    assert queue_of(child({"rowlock.dev/work-queue": "orders"}, None)) is None
    assert queue_of(child(managed, None)) is None
    assert queue_of(child(None, None)) is None
