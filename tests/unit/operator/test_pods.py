"""What is read of a pod."""

from typing import Any

import pytest

from rowlock_operator.observed.pods import observe_pod

JOB, SET = {"controller": True, "uid": "of-the-job"}, {"controller": True, "uid": "of-the-set"}
MADE_BY = {"batch.kubernetes.io/controller-uid": "of-the-job"}


@pytest.mark.parametrize(
    ("owners", "labels", "uid"),
    [
        ([JOB], MADE_BY, "of-the-job"),
        (
            [],
            MADE_BY,
            "of-the-job",
        ),  # orphaned: not taken for the pod of the kube job that bears the same name now
        ([{"uid": "of-somebody"}], MADE_BY, "of-the-job"),
        ([SET], {}, "of-the-set"),
        ([], {}, ""),
    ],
)
def test_a_pod_tells_who_made_it_also_after_it_was_orphaned(
    owners: list[Any], labels: dict[str, str], uid: str
) -> None:
    assert (
        observe_pod({"metadata": {"name": "p", "ownerReferences": owners, "labels": labels}}).owner_uid == uid
    )
