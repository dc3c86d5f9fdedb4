"""What a user does wrong is said in a condition, with the remedy, while a healthy source beside it goes
on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.cluster.applications import Application, exit_queue, row_source, workers_queue
from tests.cluster.release import Release, condition
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
TABLE = "faults_mistaken"
WITHIN_SECONDS = 20
UNPULLABLE = "registry.invalid/not/there:1"


@dataclass(frozen=True)
class Mistake:
    """Where a mistake shows and how; each of `says` stands in the message."""

    plural: str
    name: str
    kind: str
    reason: str
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.name.removeprefix("faults-")


MISTAKES = [
    Mistake("rowsources", "faults-no-table", "Ready", "TableMissing", ("faults_not_there", "create it")),
    Mistake("rowsources", "faults-no-column", "Ready", "ColumnMissing", ("prize", TABLE, "correct spec")),
    Mistake(
        "rowsources", "faults-no-task", "Ready", "TaskNotAllowed", ("ship", "spec.tasks", "add it there")
    ),
    # The chart lets the operator read named Secrets only, so whether another one exists is not its to know.
    Mistake(
        "workqueues",
        "faults-no-secret",
        "Ready",
        "SecretForbidden",
        ("faults-not-there", "rbac.secretNames", "spec.databaseRef"),
    ),
    Mistake(
        "workqueues",
        "faults-no-image",
        "Degraded",
        "ImagePullFailed",
        ("1 pods", "Correct spec.template.image"),
    ),
    Mistake(
        "workqueues",
        "faults-no-worker-image",
        "Ready",
        "ImagePullFailed",
        ("1 pods", "Correct spec.template.image"),
    ),
]


@pytest.fixture(scope="module")
def mistaken(release: Release, workers: str) -> Iterator[Application]:
    """All mistakes at once; the healthy application beside them."""
    healthy = Application(release, "faults-healthy", queue=workers)
    unpullable = Application(release, "faults-unpullable", queue="faults-no-image")
    release.sql(
        f"create table {TABLE}(id int primary key, source text, status text not null default 'new', error"
        " text)"
    )
    release.apply(
        row_source("faults-no-table", queue=workers, table="faults_not_there"),
        row_source("faults-no-column", queue=workers, table=TABLE, columns=["id", "prize"]),
        row_source("faults-no-task", queue=workers, table=TABLE, task="ship"),
        workers_queue("faults-no-secret", databaseRef={"secretName": "faults-not-there"}),
        exit_queue("faults-no-image", template={"image": UNPULLABLE}),
        workers_queue("faults-no-worker-image", template={"image": UNPULLABLE}, scaling={"min": 1, "max": 1}),
    )
    unpullable.insert(1)
    yield healthy
    for mistake in MISTAKES:
        if mistake.plural == "rowsources":
            release.delete("rowsource", mistake.name)
    unpullable.close()
    healthy.close()
    release.delete("workqueue", "faults-no-secret", "faults-no-image", "faults-no-worker-image")
    release.sql(f"drop table {TABLE}")


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_said_with_its_remedy_within_20_s(
    release: Release, mistaken: Application, mistake: Mistake
) -> None:
    wrong = "False" if mistake.kind == "Ready" else "True"

    def said() -> dict[str, str] | None:
        found = release.find(mistake.plural, mistake.name)
        now = condition(found, mistake.kind)
        return (
            {**now, "created": found["metadata"]["creationTimestamp"]}
            if found and now.get("reason") == mistake.reason
            else None
        )

    found = wait_until(said, f"{mistake.plural} {mistake.name} says {mistake.reason}", WITHIN_SECONDS)
    assert isinstance(found, dict)
    assert found["status"] == wrong
    assert [words for words in mistake.says if words not in found["message"]] == [], found["message"]
    since, created = (datetime.fromisoformat(found[key]) for key in ("lastTransitionTime", "created"))
    assert (since - created).total_seconds() <= WITHIN_SECONDS


def test_a_healthy_source_beside_them_goes_on(release: Release, mistaken: Application) -> None:
    """Last in the file: every mistake has been there for a while."""
    mistaken.open_gate()
    mistaken.insert(1, 20)
    wait_until(lambda: mistaken.statuses() == {"done": 20}, "the healthy source's rows are done")
    assert condition(release.find("rowsources", mistaken.name), "Ready").get("status") == "True"
